//! Kinds that come and go: what the stored CustomResourceDefinitions define is
//! served, and each definition is told which names it got, when it is served,
//! and when its objects are gone. Follows pkg/controller/{status,establish,
//! finalizer} and pkg/apiserver/customresource_handler.go of
//! apiextensions-apiserver.
//!
//! [`settle`] runs where the store's commits pass, so that a kind's cache
//! begins at one revision and misses nothing after it. [`run`] is a loop that
//! writes like any other client.

use crate::cache::Cache;
use crate::registry::{Registry, Resource};
use crate::stored::{Layout, Selection};
use crate::topics::Topic;
use crate::update::Aim;
use crate::{Call, DeleteOptions, feed, keys};
use api::Door;
use api::apiextensions::custom::{self, CustomKind};
use api::apiextensions::customresourcedefinition::{CLEANUP, status};
use auth::User;
use meta::object::Object as _;
use meta::schema::Ref;
use meta::{Reason, Status, Value, time};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;
use store::Revision;

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";
const PREFIX: &[u8] = b"/registry/apiextensions.k8s.io/customresourcedefinitions/";
/// How often objects that do not go are looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

type Id = (String, String, String);

/// What is served of one definition.
pub(crate) struct Installed {
    /// The definition as it was, to tell whether it changed.
    crd: Value,
    prefix: String,
    ids: Vec<Id>,
    cache: Arc<Cache>,
    /// How objects lie in the cache, which must be filled anew when it changes.
    form: Form,
}

#[derive(Clone, PartialEq, Eq)]
struct Form {
    uid: String,
    version: String,
    fields: Vec<&'static str>,
}

/// Whether a key is that of a definition.
pub(crate) fn is_definition(key: &[u8]) -> bool {
    key.starts_with(PREFIX)
}

/// The kind of definitions, where it is served.
pub(crate) fn definitions(registry: &Registry) -> Option<Arc<Resource>> {
    registry.any_version(GROUP, PLURAL)
}

fn installed(registry: &Registry) -> MutexGuard<'_, BTreeMap<String, Installed>> {
    registry
        .custom
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// All definitions as they are now.
fn all(definitions: &Resource) -> Vec<Value> {
    let span = keys::span(&definitions.prefix, "");
    let snapshot = definitions.cache.snapshot(&span, |_| true);
    let values = snapshot
        .objects
        .iter()
        .map(|o| o.to_value(definitions.hub()));
    values.filter_map(Result::ok).collect()
}

/// Serves what is defined now, and nothing else. With a revision, new caches
/// are filled as of it.
pub(crate) async fn settle(registry: &Registry, at: Option<Revision>) -> Result<(), Status> {
    let Some(definitions) = definitions(registry) else {
        return Ok(());
    };
    let crds = all(&definitions);
    let wanted: BTreeMap<String, &Value> = crds
        .iter()
        .filter(|crd| status::is_true(crd, "Established"))
        .map(|crd| (crd.name().to_string(), crd))
        .collect();
    let gone: Vec<String> = installed(registry)
        .keys()
        .filter(|name| !wanted.contains_key(*name))
        .cloned()
        .collect();
    for name in gone {
        if let Some(old) = installed(registry).remove(&name) {
            end(registry, &old);
        }
    }
    for (name, crd) in wanted {
        install(registry, &name, crd, at).await?;
    }
    Ok(())
}

fn end(registry: &Registry, old: &Installed) {
    old.ids.iter().for_each(|id| registry.end_at(id));
    registry.follow(&old.prefix, None);
    old.cache.close();
}

/// What of a definition decides how its kinds behave.
fn essence(crd: &Value) -> Value {
    let mut essence = Value::object();
    for path in [
        &["spec"][..],
        &["status", "acceptedNames"],
        &["metadata", "deletionTimestamp"],
        &["metadata", "uid"],
    ] {
        if let Some(value) = crd.at(path) {
            essence.set_at(path, value.clone());
        }
    }
    essence
}

async fn install(
    registry: &Registry,
    name: &str,
    crd: &Value,
    at: Option<Revision>,
) -> Result<(), Status> {
    let old = installed(registry).remove(name);
    let essence = essence(crd);
    if let Some(same) = old.as_ref().filter(|old| old.crd == essence) {
        let same = Installed {
            crd: essence,
            prefix: same.prefix.clone(),
            ids: same.ids.clone(),
            cache: same.cache.clone(),
            form: same.form.clone(),
        };
        installed(registry).insert(name.into(), same);
        return Ok(());
    }
    let Some(made) = custom::make(crd) else {
        old.iter().for_each(|old| end(registry, old));
        return Ok(());
    };
    let prefix = keys::prefix(api::Kind::card(&*made.storage));
    // What is built in is served as it is.
    let there = registry.stored_as(prefix.as_bytes());
    if there.is_some_and(|resource| !resource.card().is_custom()) {
        return Ok(());
    }
    let form = Form {
        uid: crd.uid().into(),
        version: api::Kind::card(&*made.storage).version.into(),
        fields: api::Kind::selectable(&*made.storage).to_vec(),
    };
    // Another definition of that name: its watchers start over.
    let old = old.filter(|old| {
        let is_same = old.form.uid == form.uid;
        if !is_same {
            end(registry, old);
        }
        is_same
    });
    let cache = match &old {
        Some(old) => old.cache.clone(),
        None => Arc::new(Cache::new(None)),
    };
    let layout = Arc::new(Layout::new(&*made.storage, prefix.len()));
    let resource = |kind: &Arc<CustomKind>| {
        Arc::new(Resource {
            kind: Ref::Shared(kind.clone()),
            prefix: prefix.clone(),
            cache: cache.clone(),
            layout: layout.clone(),
        })
    };
    let stored = resource(&made.storage);
    registry.follow(&prefix, Some(stored.clone()));
    if let (Some(at), false) = (at, old.as_ref().is_some_and(|old| old.form == form)) {
        feed::fill(registry, &stored, at).await?;
    }
    let mut ids = Vec::new();
    for kind in &made.served {
        let served = match Arc::ptr_eq(kind, &made.storage) {
            true => stored.clone(),
            false => resource(kind),
        };
        let card = served.card();
        ids.push((
            card.group.to_string(),
            card.version.to_string(),
            card.plural.to_string(),
        ));
        registry.serve_at(served);
    }
    let before = old.iter().flat_map(|old| &old.ids);
    before
        .filter(|id| !ids.contains(id))
        .for_each(|id| registry.end_at(id));
    let now = Installed {
        crd: essence,
        prefix,
        ids,
        cache,
        form,
    };
    installed(registry).insert(name.into(), now);
    Ok(())
}

/// Tells each definition how it stands, whenever one changes.
pub(crate) async fn run(registry: Arc<Registry>) {
    let Some(definitions) = definitions(&registry) else {
        return std::future::pending().await;
    };
    let user = User::new("system:apiserver", &["system:masters"]);
    let mut head = definitions.cache.subscribe(&Topic::All);
    loop {
        head.see();
        let pending = look(&registry, &definitions, &user).await;
        let changed = head.changed();
        let ended = match pending {
            false => changed.await.is_err(),
            true => match registry.clock().timeout(LOOK_AGAIN, changed).await {
                Ok(changed) => changed.is_err(),
                Err(_) => false,
            },
        };
        if ended {
            return std::future::pending().await;
        }
    }
}

/// One look at all definitions; whether something must be looked at again.
async fn look(registry: &Registry, definitions: &Resource, user: &User) -> bool {
    let mut pending = false;
    let crds = all(definitions);
    let mut done = BTreeSet::new();
    for crd in &crds {
        if !done.insert(crd.name().to_string()) {
            continue;
        }
        let outcome = match crd.is_deleting() {
            true => finish(registry, definitions, user, crd).await,
            false => name(registry, definitions, user, crd, &crds)
                .await
                .map(|()| true),
        };
        match outcome {
            Ok(is_done) => pending |= !is_done,
            Err(status) if status.reason == Reason::NotFound => {}
            Err(status) => {
                let name = crd.name();
                let why = status.message.as_str();
                tracing::warn!(name, why, "a custom resource definition cannot be settled");
                pending = true;
            }
        }
    }
    pending
}

fn call(user: &User) -> Call<'_> {
    let mut call = Call::new(user);
    call.manager = "kube-apiserver".into();
    call
}

/// Writes what a change makes of a definition, when it makes another.
async fn write(
    registry: &Registry,
    definitions: &Resource,
    user: &User,
    crd: &Value,
    change: &(dyn Fn(&mut Value) + Send + Sync),
) -> Result<(), Status> {
    let mut changed = crd.clone();
    change(&mut changed);
    if changed == *crd {
        return Ok(());
    }
    let aim = Aim {
        namespace: "",
        name: crd.name(),
        door: Door::Status,
        owns_fields: false,
        follows: true,
        may_create: false,
    };
    let apply = |old: Option<&Value>| {
        let old = old.filter(|old| old.uid() == crd.uid());
        let Some(old) = old else {
            let resource = definitions.card().group_resource();
            return Err(Status::not_found(&resource, crd.name()));
        };
        let mut object = old.clone();
        change(&mut object);
        Ok(object)
    };
    let written = registry.update(&call(user), definitions, aim, &apply).await;
    written.map(|_| ())
}

/// Names and conditions.
async fn name(
    registry: &Registry,
    definitions: &Resource,
    user: &User,
    crd: &Value,
    all: &[Value],
) -> Result<(), Status> {
    let now = time::seconds(registry.clock().wall());
    let change = |crd: &mut Value| status::accept_names(crd, all, &now);
    write(registry, definitions, user, crd, &change).await
}

const ENDING: status::Condition<'_> = status::Condition {
    ty: "Terminating",
    status: "True",
    reason: "InstanceDeletionInProgress",
    message: "CustomResource deletion is in progress",
};
const ENDED: status::Condition<'_> = status::Condition {
    ty: "Terminating",
    status: "False",
    reason: "InstanceDeletionCompleted",
    message: "removed all instances",
};

/// Deletes the objects of a definition, and then lets it go. Whether it is gone.
async fn finish(
    registry: &Registry,
    definitions: &Resource,
    user: &User,
    crd: &Value,
) -> Result<bool, Status> {
    if !crd.finalizers().contains(&CLEANUP) {
        return Ok(true);
    }
    let now = time::seconds(registry.clock().wall());
    write(registry, definitions, user, crd, &|crd| {
        status::set(crd, ENDING, &now);
    })
    .await?;
    let group = crd.str_at(&["spec", "group"]);
    let plural = crd.str_at(&["spec", "names", "plural"]);
    let resource = registry.any_version(group, plural);
    if let Some(resource) = resource.filter(|r| r.card().is_custom()) {
        if !resource.kind.refuses_create() {
            // Objects can still be made until the deletion has come round.
            return Ok(false);
        }
        let everything = Selection::default();
        let options = DeleteOptions::default();
        registry
            .delete_collection(&call(user), &resource, &everything, &options)
            .await?;
        if !registry.list_now(&resource, &everything).await?.is_empty() {
            return Ok(false);
        }
    }
    write(registry, definitions, user, crd, &|crd| {
        status::set(crd, ENDED, &now);
        let kept: Vec<String> = crd
            .finalizers()
            .into_iter()
            .filter(|f| *f != CLEANUP)
            .map(str::to_string)
            .collect();
        match kept.is_empty() {
            true => crd.metadata_mut().remove("finalizers"),
            false => crd.metadata_mut().insert("finalizers", kept),
        };
    })
    .await?;
    Ok(true)
}
