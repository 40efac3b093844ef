//! Where everything is kept that can be made again.
//!
//! Libraries are loaded from there and programs started, so it must be nobody else's.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::PathBuf;

use super::BuildError;
use crate::{lease, os};

/// The user's cache for everything that can be made again.
///
/// Libraries are loaded from it and programs started, so whoever begins with it asks for the
/// [`checked_cache_directory`].
pub fn cache_directory() -> PathBuf {
    CacheDirectory::chosen().path()
}

/// The user's cache, made and seen to be nobody else's.
///
/// # Errors
/// If it cannot be made, or another user could have put there what is in it.
pub fn checked_cache_directory() -> Result<PathBuf, BuildError> {
    let chosen = CacheDirectory::chosen();
    let directory = chosen.path();
    chosen.make().map_err(|error| BuildError {
        message: format!("the cache directory {} cannot be used: {error}", directory.display()),
        output: String::new(),
        hint: Some("set BROOKLET_CACHE to a directory of your own".to_owned()),
    })?;
    Ok(directory)
}

/// Where the cache is, by whose choice.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CacheDirectory {
    /// By `BROOKLET_CACHE`. What it names may be used by others on purpose; its mode is the user's choice.
    Named(PathBuf),
    /// Among the caches of the user's home.
    Home(PathBuf),
    /// In the temporary folder, where anybody may have made it first.
    Temporary(PathBuf),
}

impl CacheDirectory {
    fn chosen() -> CacheDirectory {
        let variable = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        CacheDirectory::choose(&variable, os::home_directory)
    }

    fn choose(
        variable: &dyn Fn(&str) -> Option<PathBuf>,
        home_of_user: impl FnOnce() -> Option<PathBuf>,
    ) -> CacheDirectory {
        if let Some(directory) = variable("BROOKLET_CACHE") {
            return CacheDirectory::Named(directory);
        }
        let caches = variable("XDG_CACHE_HOME").filter(|it| it.is_absolute()).or_else(|| {
            let home = variable("HOME").filter(|it| it.is_absolute());
            // Users of services have homes that do not exist, or are not theirs.
            let is_own =
                |it: &PathBuf| fs::metadata(it).is_ok_and(|it| it.is_dir() && it.uid() == os::user());
            let home = home.or_else(|| home_of_user().filter(is_own));
            home.map(|it| it.join(".cache"))
        });
        match caches {
            Some(caches) => CacheDirectory::Home(caches.join("brooklet")),
            None => CacheDirectory::Temporary(std::env::temp_dir().join(format!("brooklet-{}", os::user()))),
        }
    }

    fn path(&self) -> PathBuf {
        match self {
            CacheDirectory::Named(path) | CacheDirectory::Home(path) | CacheDirectory::Temporary(path) => {
                path.clone()
            }
        }
    }

    fn make(&self) -> io::Result<()> {
        match self {
            CacheDirectory::Named(path) => DirBuilder::new().recursive(true).mode(0o700).create(path),
            CacheDirectory::Home(path) => lease::private_directory(path),
            CacheDirectory::Temporary(path) => lease::make_own(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(variables: &[(&str, &str)], home_of_user: Option<&str>) -> CacheDirectory {
        let variable = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| PathBuf::from(it.1));
        CacheDirectory::choose(&variable, || home_of_user.map(PathBuf::from))
    }

    #[test]
    fn the_cache_is_in_the_home_that_is_known_and_else_in_a_folder_of_the_users_own() {
        let home = |path: &str| CacheDirectory::Home(path.into());
        assert_eq!(chosen(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")], None), home("/x/brooklet"));
        assert_eq!(chosen(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")], None), home("/h/.cache/brooklet"));
        let own = tempfile::tempdir().unwrap();
        let expected = CacheDirectory::Home(own.path().join(".cache/brooklet"));
        assert_eq!(chosen(&[], own.path().to_str()), expected);
        let named = chosen(&[("HOME", "/h"), ("BROOKLET_CACHE", "b")], None);
        assert_eq!(named, CacheDirectory::Named("b".into()));
        let temporary = std::env::temp_dir().join(format!("brooklet-{}", os::user()));
        assert_eq!(chosen(&[], None), CacheDirectory::Temporary(temporary.clone()));
        assert_eq!(chosen(&[("HOME", "h")], Some("/no/such/home")), CacheDirectory::Temporary(temporary));
    }
}
