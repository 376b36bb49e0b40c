//! Which objects a controller's object owns: it adopts orphans that its selector matches and
//! releases what it no longer matches. Follows pkg/controller/controller_ref_manager.go.

use client::{Api, Error, Patch};
use serde_json::json;
use std::sync::Arc;
use typed::meta::LabelSelector;
use typed::{Typed, selector_matches};

/// What is to be done about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is the owner's.
    Keep,
    /// It is nobody's and shall be the owner's.
    Adopt,
    /// It is the owner's and shall not be.
    Release,
    /// It does not concern the owner.
    Ignore,
}

impl Claim {
    /// Decides about one object.
    pub(crate) fn on<O: Typed, T: Typed>(owner: &O, selector: &LabelSelector, object: &T) -> Self {
        let matches = selector_matches(selector, object.labels());
        match object.controller() {
            Some(reference) if reference.uid != owner.uid() => Self::Ignore,
            Some(_) if matches => Self::Keep,
            Some(_) if owner.is_deleting() => Self::Ignore,
            Some(_) => Self::Release,
            None if owner.is_deleting() || object.is_deleting() || !matches => Self::Ignore,
            None if owner.namespace() != object.namespace() => Self::Ignore,
            None => Self::Adopt,
        }
    }
}

/// The objects that are the owner's, after adopting and releasing what has to be. Before it adopts,
/// it asks the server whether the owner still exists and is not being deleted: the cache may be
/// behind, and an adopted object would be deleted with its owner.
pub(crate) async fn claim<O: Typed, T: Typed>(
    owner: &O,
    owners: &Api<O>,
    selector: &LabelSelector,
    objects: Vec<Arc<T>>,
    api: &Api<T>,
) -> Result<Vec<Arc<T>>, Error> {
    let mut owned = Vec::with_capacity(objects.len());
    let mut may_adopt = None;
    let mut failure = None;
    for object in objects {
        match Claim::on(owner, selector, &*object) {
            Claim::Ignore => {}
            Claim::Keep => owned.push(object),
            Claim::Release => failure = release(owner, &*object, api).await.err().or(failure),
            Claim::Adopt => {
                let allowed = match may_adopt {
                    Some(allowed) => allowed,
                    None => *may_adopt.insert(is_alive(owner, owners).await?),
                };
                if !allowed {
                    continue;
                }
                match adopt(owner, &*object, api).await {
                    Ok(true) => owned.push(object),
                    Ok(false) => {}
                    Err(error) => failure = Some(error),
                }
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(owned),
    }
}

async fn is_alive<O: Typed>(owner: &O, owners: &Api<O>) -> Result<bool, Error> {
    match owners.namespace(owner.namespace()).get(owner.name()).await {
        Ok(fresh) => Ok(fresh.uid() == owner.uid() && !fresh.is_deleting()),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn adopt<O: Typed, T: Typed>(owner: &O, object: &T, api: &Api<T>) -> Result<bool, Error> {
    let reference = owner.controller_reference();
    let patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [{
        "apiVersion": reference.api_version, "kind": reference.kind, "name": reference.name,
        "uid": reference.uid, "controller": true, "blockOwnerDeletion": true,
    }]}});
    let patched = api
        .namespace(object.namespace())
        .patch(object.name(), &Patch::Strategic(patch))
        .await;
    gone_or(patched.map(drop))
}

async fn release<O: Typed, T: Typed>(owner: &O, object: &T, api: &Api<T>) -> Result<bool, Error> {
    let patch = json!({"metadata": {"uid": object.uid(), "ownerReferences": [{
        "$patch": "delete", "uid": owner.uid(),
    }]}});
    let patched = api
        .namespace(object.namespace())
        .patch(object.name(), &Patch::Strategic(patch))
        .await;
    gone_or(match patched {
        // The object has another uid or no such owner any more.
        Err(error) if error.is_invalid() => Ok(()),
        outcome => outcome.map(drop),
    })
}

/// Whether it was done; an object that is gone needs nothing.
fn gone_or(outcome: Result<(), Error>) -> Result<bool, Error> {
    match outcome {
        Ok(()) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error),
    }
}
