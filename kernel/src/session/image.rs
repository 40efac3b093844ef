//! The image, made once and shared by everybody who needs it. There is one at a time: the plain one, or the one
//! with the dependencies of the package whose files are watched.
//!
//! The first build may take many minutes. It runs on a thread of its own, so that whoever waits can be
//! interrupted; the build itself goes on, because the next cell will want it just as much.

use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Instant;

use super::screen::Screen;
use super::text;
use crate::build::image::Image;
use crate::build::package::PackageSpec;
use crate::build::{BuildError, Progress};
use crate::engine::Stream;

pub struct ImageHolder {
    state: Mutex<State>,
    changed: Condvar,
    screen: Arc<Screen>,
}

#[derive(Default)]
struct State {
    /// What is at hand, and for which package.
    image: Option<(Key, Arc<Image>)>,
    is_building: bool,
    /// Why the last build failed; taken by whoever waited for it.
    failure: Option<(Key, BuildError)>,
    /// Counts interrupts: who waits returns when it changes.
    interrupts: u64,
}

/// The package's part of an image's key; empty for the plain image.
type Key = String;

fn key_of(package: Option<&Arc<PackageSpec>>) -> Key {
    package.map_or_else(String::new, |it| it.key.clone())
}

impl ImageHolder {
    pub fn new(screen: Arc<Screen>) -> Arc<ImageHolder> {
        Arc::new(ImageHolder { state: Mutex::default(), changed: Condvar::new(), screen })
    }

    /// The image for a package, if it is at hand.
    pub fn ready(&self, package: Option<&Arc<PackageSpec>>) -> Option<Arc<Image>> {
        let wanted = key_of(package);
        let state = self.state.lock().unwrap_or_else(|it| it.into_inner());
        state.image.as_ref().filter(|it| it.0 == wanted).map(|it| it.1.clone())
    }

    /// The image; builds it if need be. `Ok(None)` if the wait was interrupted.
    ///
    /// # Errors
    /// If it does not build. The next call tries again.
    pub fn get(
        self: &Arc<Self>,
        package: Option<&Arc<PackageSpec>>,
    ) -> Result<Option<Arc<Image>>, BuildError> {
        self.wait(package, true)
    }

    /// The image for work that no cell waits for directly, and that no interrupt stops.
    ///
    /// # Errors
    /// If it does not build. The next call tries again.
    pub fn get_in_background(
        self: &Arc<Self>,
        package: Option<&Arc<PackageSpec>>,
    ) -> Result<Arc<Image>, BuildError> {
        match self.wait(package, false)? {
            Some(image) => Ok(image),
            None => Err(BuildError::new("the image is not there")),
        }
    }

    fn wait(
        self: &Arc<Self>,
        package: Option<&Arc<PackageSpec>>,
        can_be_interrupted: bool,
    ) -> Result<Option<Arc<Image>>, BuildError> {
        let wanted = key_of(package);
        let mut state = self.state.lock().unwrap_or_else(|it| it.into_inner());
        let before = state.interrupts;
        loop {
            if let Some((_, image)) = state.image.as_ref().filter(|it| it.0 == wanted) {
                return Ok(Some(image.clone()));
            }
            if !state.is_building
                && let Some((_, failure)) = state.failure.take_if(|it| it.0 == wanted)
            {
                return Err(failure);
            }
            if can_be_interrupted && state.interrupts != before {
                return Ok(None);
            }
            if !state.is_building {
                state.is_building = true;
                let (this, package) = (self.clone(), package.cloned());
                // cargo dies with the thread that started it, so that thread must live as long as the build.
                thread::Builder::new()
                    .name("image".into())
                    .spawn(move || this.build(package.as_ref()))
                    .map_err(|error| BuildError::new(error.to_string()))?;
            }
            state = self.changed.wait(state).unwrap_or_else(|it| it.into_inner());
        }
    }

    /// Whoever waits for the image stops waiting.
    pub fn interrupt(&self) {
        self.state.lock().unwrap_or_else(|it| it.into_inner()).interrupts += 1;
        self.changed.notify_all();
    }

    fn build(&self, package: Option<&Arc<PackageSpec>>) {
        let started = Instant::now();
        let note = |text: &str| self.screen.stream(Stream::Stderr, &format!("note: {text}\n"));
        let report = |progress: &Progress| self.screen.progress(progress);
        let built = Image::ensure(package.map(|it| &**it), &note, &report);
        let took = text::duration(started.elapsed().as_secs_f64() * 1_000.0);
        self.screen.progress_ends(&match &built {
            Ok(_) => format!("the image was built in {took}"),
            Err(_) => format!("the image did not build ({took})"),
        });
        let mut state = self.state.lock().unwrap_or_else(|it| it.into_inner());
        state.is_building = false;
        match built {
            Ok(image) => state.image = Some((key_of(package), Arc::new(image))),
            Err(error) => state.failure = Some((key_of(package), error)),
        }
        drop(state);
        self.changed.notify_all();
    }
}
