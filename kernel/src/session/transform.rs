//! `%%transform NAME`: the cell is a transform module.
//!
//! The text is written to a file, because rustc reads files; from there on the module is like any other
//! watched file. Without `--write` that file is in the session's own directory and goes with the session.

use std::fs;
use std::path::{Path, PathBuf};

use super::Execution;
use super::errors::{self, Result};
use super::grammar::Call;

/// Words that cannot name a module.
const RESERVED: &[&str] = &[
    "abstract",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "everything",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "pub",
    "ref",
    "return",
    "self",
    "shims",
    "static",
    "struct",
    "super",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

impl Execution<'_> {
    /// `%%transform NAME [--write FILE]`
    pub(super) fn transform(&self, call: &Call, body: &str) -> Result<()> {
        let name = call.texts().remove(0);
        if !is_module_name(&name) {
            let message = format!("`{name}` cannot be the name of a module");
            let mut error = call.error_at(&call.words[0], message);
            error.hint = Some("a lower-case Rust identifier, such as `prices`".to_owned());
            return Err(errors::usage(&error));
        }
        if let Some(error) = errors::nested_too_deeply(body) {
            return Err(error);
        }
        let path = match call.value("--write") {
            Some(file) => self.written_path(call, &file)?,
            None => self.shared.transforms_directory().join(format!("{name}.rs")),
        };
        let failed = |error: std::io::Error| {
            errors::plain("FileError", format!("cannot write {}: {error}", path.display()))
        };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(failed)?;
        }
        // The blank line in place of the magic keeps the line numbers those of the cell.
        let text = if call.flag("--write") { body.to_owned() } else { format!("\n{body}") };
        if call.flag("--write") {
            self.refuse_to_overwrite(call, &path, &text)?;
        }
        fs::write(&path, &text).map_err(failed)?;
        self.shared.knowledge().written.insert(path.clone(), text);
        let old = self.shared.knowledge().transforms.insert(name, path.clone());
        if let Some(old) = old.filter(|it| *it != path) {
            // The module moved; if its old file is no longer watched there is nothing to stop.
            let _ = self.shared.reloader.unwatch(&[old.to_string_lossy().into_owned()]);
        }
        let watched = self.shared.reloader.watch(&[path.to_string_lossy().into_owned()], false);
        watched.map_err(|it| errors::usage(&call.error(it)))?;
        self.draw_change()
    }

    /// A file may be replaced only by who wrote it, and only as long as nobody else has changed it since.
    fn refuse_to_overwrite(&self, call: &Call, path: &Path, text: &str) -> Result<()> {
        // Reading from a pipe, or writing to it, waits for whoever is at its other end.
        if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
            let shown = path.strip_prefix(&self.shared.base).unwrap_or(path).display();
            let message = format!("`{shown}` is there already, and no regular file");
            return Err(errors::usage(&call.error(message)));
        }
        let Ok(present) = fs::read(path) else { return Ok(()) };
        let ours = self.shared.knowledge().written.get(path).is_some_and(|it| it.as_bytes() == present);
        if ours || present == text.as_bytes() {
            return Ok(());
        }
        let shown = path.strip_prefix(&self.shared.base).unwrap_or(path).display();
        let mut error = call.error(format!("`{shown}` is there already, and not as this cell wrote it"));
        error.hint = Some("nothing was written: edit the file itself, delete it, or name another".to_owned());
        Err(errors::usage(&error))
    }

    /// The file of `--write`, which must be Rust: anything else could not be watched.
    fn written_path(&self, call: &Call, file: &str) -> Result<PathBuf> {
        if !file.ends_with(".rs") {
            let word = call.option("--write").and_then(<[_]>::first);
            let message = format!("`{file}` must end in `.rs`");
            let error =
                word.map_or_else(|| call.error(message.clone()), |it| call.error_at(it, message.clone()));
            return Err(errors::usage(&error));
        }
        Ok(self.shared.base.join(file))
    }
}

fn is_module_name(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|it| it.is_alphabetic() || it == '_')
        && characters.all(|it| it.is_alphanumeric() || it == '_')
        && name != "_"
        && !RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_names_are_identifiers_and_no_keywords() {
        for good in ["prices", "_a", "p2", "größe"] {
            assert!(is_module_name(good), "{good}");
        }
        for bad in ["", "2p", "a.b", "a-b", "mod", "self", "_", "shims"] {
            assert!(!is_module_name(bad), "{bad}");
        }
    }
}
