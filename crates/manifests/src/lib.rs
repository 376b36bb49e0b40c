//! Keeps a cluster as the files of a folder say.
//!
//! Each file is one set: its objects are applied by server-side apply, those
//! that left the file are deleted, and all of them are when the file goes. What
//! belongs to a set is written on the objects themselves, as KEP-3659 (ApplySet)
//! says, so nothing is kept that a restart could lose and `kubectl` reads it too.
//!
//! A file named like another one with `.skip` appended makes that one be left
//! alone, as in k3s: neither applied nor pruned.

mod apply;
mod file;
mod folder;
mod set;
#[cfg(test)]
mod tests;

pub use file::{Error as FileError, read};

use apply::{Applier, Error};
use client::Client;
use folder::{Fingerprint, Folder};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use stdx::{Backoff, Clock, Instant, Rng};
use tracing::{info, warn};

/// How often the folder is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// How long a file that could not be applied waits, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// One folder, and the cluster that shall be so.
pub struct Manifests {
    folder: Folder,
    applier: Applier,
    clock: Clock,
    rng: Rng,
    known: BTreeMap<String, Known>,
    /// Sets whose file is gone may be left from before.
    swept: bool,
}

/// What is known of one file.
struct Known {
    seen: Fingerprint,
    retry: Option<(Instant, Backoff)>,
}

impl Manifests {
    /// The files below `dir`, applied by a client that may do what they say.
    pub fn new(dir: impl Into<PathBuf>, client: Client, clock: Clock, rng: Rng) -> Self {
        Manifests {
            folder: Folder::new(dir.into()),
            applier: Applier::new(client),
            clock,
            rng,
            known: BTreeMap::new(),
            swept: false,
        }
    }

    /// Looks again and again. Never ends.
    pub async fn run(mut self) {
        loop {
            self.look().await;
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Looks once, and does what is due.
    pub async fn look(&mut self) {
        let files = match self.folder.files() {
            Ok(files) => files,
            Err(error) => {
                warn!(error = client::chain(&error), "cannot read the manifests");
                return;
            }
        };
        for (name, file) in &files {
            if !file.skipped && self.is_due(name, &file.seen) {
                let outcome = self.apply(name, &file.path).await;
                self.note(name, file.seen.clone(), outcome);
            }
        }
        let gone: Vec<String> = self
            .known
            .keys()
            .filter(|name| !files.contains_key(*name))
            .cloned()
            .collect();
        if gone.is_empty() && self.swept {
            return;
        }
        let keep: Vec<&str> = files.keys().map(String::as_str).collect();
        match self.applier.sweep(&keep).await {
            Ok(removed) => {
                for name in removed {
                    info!(file = name, "removed what the manifest had made");
                }
                self.swept = true;
                self.known.retain(|name, _| files.contains_key(name));
            }
            Err(error) => warn!(
                error = client::chain(&error),
                "cannot remove what manifests had made"
            ),
        }
    }

    fn is_due(&self, name: &str, seen: &Fingerprint) -> bool {
        match self.known.get(name) {
            None => true,
            Some(known) if known.seen != *seen => true,
            Some(known) => known
                .retry
                .as_ref()
                .is_some_and(|(at, _)| *at <= self.clock.now()),
        }
    }

    async fn apply(&self, name: &str, path: &Path) -> Result<usize, Error> {
        let objects = file::read(path)?;
        let count = objects.len();
        self.applier.apply(name, objects).await?;
        Ok(count)
    }

    fn note(&mut self, name: &str, seen: Fingerprint, outcome: Result<usize, Error>) {
        let before = self.known.remove(name).filter(|known| known.seen == seen);
        let retry = match outcome {
            Ok(objects) => {
                info!(file = name, objects, "applied the manifest");
                None
            }
            Err(error) => {
                let again = before.and_then(|known| known.retry);
                let mut backoff =
                    again.map_or_else(|| Backoff::new(RETRY.0, RETRY.1), |(_, backoff)| backoff);
                let pause = backoff.next(&self.rng);
                warn!(
                    file = name,
                    error = client::chain(&error),
                    again_in_seconds = pause.as_secs_f32(),
                    "cannot apply the manifest"
                );
                Some((self.clock.now() + pause, backoff))
            }
        };
        self.known.insert(name.to_string(), Known { seen, retry });
    }
}
