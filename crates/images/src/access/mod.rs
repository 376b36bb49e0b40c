//! Who may use an image that is here already.
//!
//! An image that one pod's secret has brought is not every pod's: whoever
//! wants it without a pull has to show the same secret, or else the registry
//! is asked again. Images that were not pulled for a pod (imported, or brought
//! by hand) are everybody's, unless the policy says otherwise. Follows
//! pkg/kubelet/images/pullmanager, whose files it keeps, too.

mod policy;
mod records;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use stdx::{Clock, Timestamp};

pub use self::policy::{Policy, PolicyError};
use self::records::{Files, Grant, Record, Secret};
use crate::{
    Digest, Error, Images, Reference,
    keyring::{self, Credentials},
};

/// Secrets that a record takes in while it is only read, at most: namespaces
/// that come and go shall not make it grow without end.
const SECRETS_MAX: usize = 100;

/// What is known about the pulls of this node.
pub struct Access {
    policy: Policy,
    clock: Clock,
    state: Mutex<State>,
}

struct State {
    files: Files,
    /// Pulls that go on, by name.
    begun: HashMap<String, usize>,
}

impl Access {
    /// Reads what is known from a directory, which is made if need be. Images
    /// whose pull was cut short after they had come are nobody's until
    /// somebody shows a secret.
    pub fn open(
        directory: &Path,
        policy: Policy,
        images: &Images,
        clock: Clock,
    ) -> Result<Self, Error> {
        let access = Self {
            policy,
            clock,
            state: Mutex::new(State {
                files: Files::open(directory)?,
                begun: HashMap::new(),
            }),
        };
        access.settle(images)?;
        Ok(access)
    }

    fn settle(&self, images: &Images) -> Result<(), Error> {
        let state = self.state();
        for name in state.files.intents()? {
            if let Ok(Some(image)) = images.resolve(&name)
                && let Ok(reference) = Reference::parse(&name)
            {
                self.grant(&state, &reference, &image.id, None)?;
            }
            state.files.end(&name)?;
        }
        Ok(())
    }

    /// Whether a pod that has these credentials may use an image without
    /// asking its registry.
    pub fn allows(
        &self,
        reference: &Reference,
        id: &Digest,
        credentials: &[Credentials],
    ) -> Result<bool, Error> {
        let state = self.state();
        let record = state.files.record(id)?;
        let is_pulled = record.is_some() || state.is_begun(&reference.to_string())?;
        if !self.policy.wants_proof(reference, is_pulled) {
            return Ok(true);
        }
        let Some(record) = record else {
            return Ok(false);
        };
        let Some(grant) = record.credential_mapping.get(&reference.repository()) else {
            return Ok(false);
        };
        if grant.node_pods_accessible {
            return Ok(true);
        }
        for secret in secrets(reference, credentials) {
            if !grant.knows(&secret) {
                continue;
            }
            let is_new = !grant.kubernetes_secrets.contains(&secret);
            if is_new && grant.kubernetes_secrets.len() < SECRETS_MAX {
                self.grant(&state, reference, id, Some(Grant::to(secret)))?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Notes that a pull begins.
    pub fn begin(&self, reference: &Reference) -> Result<Attempt<'_>, Error> {
        let name = reference.to_string();
        let mut state = self.state();
        state.files.begin(&name)?;
        *state.begun.entry(name).or_default() += 1;
        Ok(Attempt {
            access: self,
            reference: reference.clone(),
        })
    }

    /// Forgets images that are gone: all but those that are kept, and but for
    /// those that have come since a moment.
    pub fn forget_others(&self, kept: &[Digest], since: Timestamp) -> Result<(), Error> {
        let state = self.state();
        let kept: Vec<String> = kept.iter().map(Digest::to_string).collect();
        // Records tell whole seconds.
        let since = since.as_second();
        for record in state.files.records()? {
            let updated = record.last_updated_time.parse::<Timestamp>();
            let is_new = updated.is_ok_and(|updated| updated.as_second() >= since);
            if !is_new && !kept.contains(&record.image_ref) {
                state.files.remove_record(&record.image_ref)?;
            }
        }
        Ok(())
    }

    /// Records who may use an image under a name; nobody yet if absent.
    fn grant(
        &self,
        state: &State,
        reference: &Reference,
        id: &Digest,
        grant: Option<Grant>,
    ) -> Result<(), Error> {
        let known = match state.files.record(id) {
            // Whoever is granted something anew makes it whole.
            Err(Error::Record { .. }) => None,
            known => known?,
        };
        let mut record = known.clone().unwrap_or_else(|| Record::new(id));
        if let Some(grant) = grant {
            let all = &mut record.credential_mapping;
            all.entry(reference.repository()).or_default().add(grant);
        }
        if known.as_ref() == Some(&record) {
            return Ok(());
        }
        record.last_updated_time = stdx::format_seconds(self.clock.wall());
        state.files.write_record(&record)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_begun(&self, name: &str) -> Result<bool, Error> {
        Ok(self.begun.contains_key(name) || self.files.is_begun(name)?)
    }
}

/// A pull that goes on. One that is dropped without a word was cut short: the
/// image may still come, so the intent stays on disk.
pub struct Attempt<'a> {
    access: &'a Access,
    reference: Reference,
}

impl Attempt<'_> {
    /// The image is here, with these credentials or with none.
    pub fn succeeded(self, id: &Digest, credentials: Option<&Credentials>) -> Result<(), Error> {
        let secret = credentials.and_then(secret);
        let grant = secret.map_or_else(Grant::to_all, Grant::to);
        let state = self.access.state();
        self.access
            .grant(&state, &self.reference, id, Some(grant))?;
        drop(state);
        self.end()
    }

    /// The image did not come.
    pub fn failed(self) -> Result<(), Error> {
        self.end()
    }

    fn end(&self) -> Result<(), Error> {
        let name = self.reference.to_string();
        let state = self.access.state();
        // Another pull of the same name still has the intent.
        if state.begun.get(&name).is_some_and(|count| *count > 1) {
            return Ok(());
        }
        state.files.end(&name)
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let name = self.reference.to_string();
        let mut state = self.access.state();
        if let Some(count) = state.begun.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                state.begun.remove(&name);
            }
        }
    }
}

/// The secrets among the credentials that are for an image.
fn secrets(reference: &Reference, credentials: &[Credentials]) -> Vec<Secret> {
    let chosen = keyring::select(credentials, reference);
    chosen.into_iter().filter_map(secret).collect()
}

/// Where credentials come from, if that is a Secret: all others are the node's.
fn secret(credentials: &Credentials) -> Option<Secret> {
    let source = credentials.source.as_ref()?;
    let parts = [
        &credentials.username,
        &credentials.password,
        &credentials.token,
    ];
    Some(Secret {
        uid: source.uid.clone(),
        namespace: source.namespace.clone(),
        name: source.name.clone(),
        credential_hash: Digest::of(parts.map(String::as_str).join("\0").as_bytes()).hex(),
    })
}
