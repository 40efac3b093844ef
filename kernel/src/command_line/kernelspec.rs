//! The kernelspec: what tells Jupyter that the kernel exists and how to start it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::jupyter;

/// The kernel's name for Jupyter, also the directory's.
pub const NAME: &str = "brooklet";
pub const DISPLAY_NAME: &str = "Rust (Brooklet)";

/// Files beside `kernel.json`.
const LOGOS: [(&str, &[u8]); 3] = [
    ("logo-svg.svg", include_bytes!("../../logos/logo-svg.svg")),
    ("logo-32x32.png", include_bytes!("../../logos/logo-32x32.png")),
    ("logo-64x64.png", include_bytes!("../../logos/logo-64x64.png")),
];

/// Where a kernelspec goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The user's Jupyter data directory.
    User,
    /// `PREFIX/share/jupyter`, as for a virtual environment.
    Prefix(PathBuf),
}

impl Place {
    /// The kernelspec's directory.
    ///
    /// # Errors
    /// If the user has no home directory.
    pub fn directory(&self) -> Result<PathBuf, String> {
        let data = match self {
            Place::User => user_data_directory()?,
            Place::Prefix(prefix) => prefix.join("share").join("jupyter"),
        };
        Ok(data.join("kernels").join(NAME))
    }
}

/// Registers this executable as the kernel `brooklet`; returns the directory written.
///
/// # Errors
/// One sentence, if the directory cannot be written.
pub fn install(place: &Place) -> Result<PathBuf, String> {
    let directory = place.directory()?;
    let directory = std::path::absolute(directory).map_err(|error| error.to_string())?;
    let executable =
        std::env::current_exe().map_err(|error| format!("cannot find this executable: {error}"))?;
    let failed = |error| format!("cannot write {}: {error}", directory.display());
    std::fs::create_dir_all(&directory).map_err(failed)?;
    std::fs::write(directory.join("kernel.json"), format!("{:#}\n", jupyter::kernelspec(&executable)))
        .map_err(failed)?;
    for (name, bytes) in LOGOS {
        std::fs::write(directory.join(name), bytes).map_err(failed)?;
    }
    Ok(directory)
}

/// Removes the kernelspec; `None` if there was none.
///
/// # Errors
/// One sentence, if it is there and cannot be removed.
pub fn uninstall(place: &Place) -> Result<Option<PathBuf>, String> {
    let directory = place.directory()?;
    match std::fs::remove_dir_all(&directory) {
        Ok(()) => Ok(Some(directory)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot remove {}: {error}", directory.display())),
    }
}

/// The executable that an installed kernelspec starts; `None` if there is no readable kernelspec.
pub fn installed_executable(directory: &Path) -> Option<PathBuf> {
    let text = std::fs::read_to_string(directory.join("kernel.json")).ok()?;
    let specification: serde_json::Value = serde_json::from_str(&text).ok()?;
    Some(PathBuf::from(specification.pointer("/argv/0")?.as_str()?))
}

/// Jupyter's own rule for where a user's data is.
fn user_data_directory() -> Result<PathBuf, String> {
    let variable = |name| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    if let Some(directory) = variable("JUPYTER_DATA_DIR") {
        return Ok(directory);
    }
    let home = variable("HOME").ok_or("there is no home directory: set HOME, or use --prefix")?;
    if cfg!(target_os = "macos") {
        return Ok(home.join("Library").join("Jupyter"));
    }
    Ok(variable("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local").join("share")).join("jupyter"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_writes_a_kernelspec_for_this_executable_and_uninstalling_removes_it() {
        let prefix = tempfile::tempdir().unwrap();
        let place = Place::Prefix(prefix.path().to_owned());
        let directory = install(&place).unwrap();
        assert_eq!(directory, prefix.path().join("share/jupyter/kernels/brooklet"));
        assert_eq!(installed_executable(&directory), std::env::current_exe().ok());
        let text = std::fs::read_to_string(directory.join("kernel.json")).unwrap();
        let specification: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(specification["interrupt_mode"], "message");
        assert_eq!(specification["argv"][3], "{connection_file}");
        assert_eq!(specification["display_name"], "Rust (Brooklet)");
        assert!(directory.join("logo-64x64.png").exists() && directory.join("logo-svg.svg").exists());
        assert_eq!(uninstall(&place).unwrap(), Some(directory));
        assert_eq!(uninstall(&place).unwrap(), None);
    }
}
