//! A ruleset in memory, for clusters without a kernel of their own.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    backend::{Backend, Error},
    plan::UdpFrontend,
    state::{Changes, Ruleset},
};

/// A double of the kernel. Clones share the ruleset, so that a test can look
/// at it, damage it, or make it refuse.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    ruleset: Option<Ruleset>,
    generation: u32,
    forgotten: Vec<UdpFrontend>,
    failures: u32,
    tidied: u32,
}

impl Memory {
    /// What is there.
    pub fn ruleset(&self) -> Option<Ruleset> {
        self.with(|shared| shared.ruleset.clone())
    }

    /// Puts something there behind the proxy's back.
    pub fn tamper(&self, ruleset: Option<Ruleset>) {
        self.with(|shared| {
            shared.ruleset = ruleset;
            shared.generation += 1;
        });
    }

    /// Makes the next so many operations fail.
    pub fn fail(&self, times: u32) {
        self.with(|shared| shared.failures = times);
    }

    /// The frontends whose flows were to be forgotten so far.
    pub fn forgotten(&self) -> Vec<UdpFrontend> {
        self.with(|shared| shared.forgotten.clone())
    }

    /// How often leftovers were given back.
    pub fn tidied(&self) -> u32 {
        self.with(|shared| shared.tidied)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn attempt<T>(&self, work: impl FnOnce(&mut Shared) -> Result<T, Error>) -> Result<T, Error> {
        self.with(|shared| {
            if shared.failures > 0 {
                shared.failures -= 1;
                return Err(Error::Refused("told to fail"));
            }
            work(shared)
        })
    }
}

impl Backend for Memory {
    fn read(&mut self) -> Result<Option<Ruleset>, Error> {
        self.attempt(|shared| Ok(shared.ruleset.clone()))
    }

    fn replace(&mut self, ruleset: &Ruleset) -> Result<(), Error> {
        self.attempt(|shared| {
            shared.ruleset = Some(ruleset.clone());
            shared.generation += 1;
            Ok(())
        })
    }

    fn apply(&mut self, changes: &Changes) -> Result<(), Error> {
        self.attempt(|shared| {
            let mut next = shared.ruleset.clone().ok_or(Error::Refused("no table"))?;
            for entry in &changes.remove {
                let removed = next.entries.remove(&(entry.map, entry.key));
                removed.ok_or(Error::Refused("absent entry"))?;
            }
            for entry in &changes.add {
                let previous = next.entries.insert((entry.map, entry.key), entry.value);
                if previous.is_some() {
                    return Err(Error::Refused("present entry"));
                }
            }
            shared.ruleset = Some(next);
            shared.generation += 1;
            Ok(())
        })
    }

    fn tidy(&mut self, _ruleset: &Ruleset) -> Result<(), Error> {
        self.attempt(|shared| {
            shared.tidied += 1;
            Ok(())
        })
    }

    fn generation(&mut self) -> Result<u32, Error> {
        self.attempt(|shared| Ok(shared.generation))
    }

    fn forget(&mut self, frontends: &[UdpFrontend]) -> Result<usize, Error> {
        self.attempt(|shared| {
            shared.forgotten.extend_from_slice(frontends);
            Ok(0)
        })
    }
}
