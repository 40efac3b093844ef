//! The one exported function of a generation, and the only place that names an unmangled symbol.
//!
//! The symbol is `extern "Rust"`: image and generation are compiled by one rustc and share one standard
//! library, which the loader makes sure of before it calls.

/// Makes a crate a generation: exports its table of functions under the name that the loader looks for.
#[macro_export]
macro_rules! generation {
    ($functions:path) => {
        // SAFETY: the name is looked up in this one library by its handle, and libraries are loaded with
        // local scope, so that two generations never see each other's symbol.
        #[unsafe(no_mangle)]
        pub extern "Rust" fn brooklet_generation() -> $crate::glue::Table {
            $functions()
        }

        /// Where this generation's copy of the library is. Called before the table is asked for.
        // SAFETY: as above.
        #[unsafe(no_mangle)]
        pub extern "C" fn brooklet_generation_mark() -> usize {
            $crate::glue::copy_mark()
        }
    };
}
