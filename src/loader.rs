//! Loads generations and cells into this process. The one file of the library with `unsafe` code.
//!
//! Libraries are never unloaded: values, operations and panic messages point into them. Each path is loaded
//! once in the life of a process, for the loader would hand out the old library again.

use std::ffi::{CStr, CString, c_void};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;

use crate::glue::{Table, copy_mark};

/// The variables of evcxr's cells; made, read and freed by code that evcxr generates.
pub struct CellVariables(*mut c_void);

impl CellVariables {
    /// No variables; the first cell makes the store.
    pub const fn none() -> CellVariables {
        CellVariables(std::ptr::null_mut())
    }
}

/// Loads a generation and asks it for its functions.
///
/// # Errors
/// The loader's message, or that the library is not a generation of this image.
#[allow(unsafe_code)]
pub fn load_generation(path: &str) -> Result<Table, String> {
    let library = open(path)?;
    let mark = symbol(library, c"brooklet_generation_mark", path)?;
    // SAFETY: `generation!` defines the symbol with this type; the name is ours alone.
    let mark: extern "C" fn() -> usize = unsafe { std::mem::transmute(mark) };
    if mark() != copy_mark() {
        return Err(format!("{path} carries its own copy of the library; it must be linked to the image"));
    }
    let functions = symbol(library, c"brooklet_generation", path)?;
    // SAFETY: as above. The generation uses this very copy of the library, checked by its mark, so it was
    // compiled by the same rustc against the same types.
    let functions: extern "Rust" fn() -> Table = unsafe { std::mem::transmute(functions) };
    crate::panics::catch(functions)
        .map_err(|panic| format!("{path} panicked while it was loaded: {}", panic.message))
}

/// Loads a cell's library.
///
/// # Errors
/// The loader's message, or that the function is not there.
pub fn load_cell(path: &str, function: &str) -> Result<CellFunction, String> {
    let library = open(path)?;
    let name = CString::new(function).map_err(|_| "a function's name holds a zero byte".to_owned())?;
    Ok(CellFunction(symbol(library, &name, path)?))
}

/// One cell's code.
pub struct CellFunction(*mut c_void);

impl CellFunction {
    /// Runs the cell with the variables of the cells before it.
    ///
    /// The code that evcxr generates catches panics of the user's code. What it does not catch (a variable's
    /// type that it no longer knows) cannot cross its `extern "C"` and ends the process.
    #[allow(unsafe_code)]
    pub fn run(self, variables: &mut CellVariables) {
        // SAFETY: evcxr generates every such function with this type. The pointer is null or what the cell
        // before returned, and all cells run on one thread.
        unsafe {
            let run: extern "C" fn(*mut c_void) -> *mut c_void = std::mem::transmute(self.0);
            variables.0 = run(variables.0);
        }
    }
}

/// Takes over a socket that the process was started with.
#[allow(unsafe_code)]
pub fn adopt_socket(fd: RawFd) -> UnixStream {
    // SAFETY: the worker's executable passes a descriptor that it opened for this and does not use again.
    unsafe { UnixStream::from_raw_fd(fd) }
}

/// Ends the process at once: no destructors, which other threads may still need.
#[allow(unsafe_code)]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: always sound; it does not return.
    unsafe { libc::_exit(code) }
}

#[allow(unsafe_code)]
fn open(path: &str) -> Result<*mut c_void, String> {
    let name = CString::new(path).map_err(|_| "a path holds a zero byte".to_owned())?;
    // SAFETY: the string is valid for the call. Initialisers of the library run; they are rustc's own.
    let library = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    if library.is_null() { Err(last_error(path)) } else { Ok(library) }
}

#[allow(unsafe_code)]
fn symbol(library: *mut c_void, name: &CStr, path: &str) -> Result<*mut c_void, String> {
    // SAFETY: the handle came from `dlopen` and is never closed.
    let found = unsafe { libc::dlsym(library, name.as_ptr()) };
    if found.is_null() { Err(format!("{path} has no `{}`", name.to_string_lossy())) } else { Ok(found) }
}

#[allow(unsafe_code)]
fn last_error(path: &str) -> String {
    // SAFETY: `dlerror` gives null or a string that is valid until the next call on this thread.
    unsafe {
        let text = libc::dlerror();
        if text.is_null() {
            return format!("{path} cannot be loaded");
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_generation_with_a_library_of_its_own_is_refused() {
        let directory = std::env::temp_dir().join(format!("brooklet-loader-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (source, library) = (directory.join("lib.rs"), directory.join("libstray.so"));
        // What a generation exports, from a crate that was not linked to this copy of the library.
        let code = "#[no_mangle] pub extern \"C\" fn brooklet_generation_mark() -> usize { 1 }\n\
                    #[no_mangle] pub extern \"C\" fn brooklet_generation() {}\n";
        std::fs::write(&source, code).unwrap();
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let built =
            Command::new(rustc).args(["--crate-type", "cdylib", "-o"]).arg(&library).arg(&source).status();
        assert!(built.unwrap().success());
        let refused = load_generation(&library.to_string_lossy()).err().unwrap_or_default();
        assert!(refused.contains("carries its own copy of the library"), "{refused}");
        let missing = load_generation("/nowhere/libgone.so").err().unwrap_or_default();
        assert!(missing.contains("libgone.so"), "{missing}");
        std::fs::remove_dir_all(directory).unwrap();
    }
}
