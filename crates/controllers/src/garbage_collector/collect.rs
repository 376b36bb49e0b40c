//! Looks at one object: may it stay? Follows attemptToDeleteItem and attemptToOrphanItem in
//! pkg/controller/garbagecollector/garbagecollector.go.

use super::graph::Graph;
use super::monitors::Monitors;
use super::node::{Facts, Node, Place};
use super::{FOREGROUND, ORPHAN};
use client::{Client, DeleteOptions, Error, Patch, Propagation, Resource};
use informer::{Action, BoxError, Reconcile};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use typed::meta::{ObjectMeta, OwnerReference};
use typed::{PartialObject, Wire};

const ABSENT_MAX: usize = 500;
/// How long an owner that nobody has seen is left alone.
const UNSEEN: Duration = Duration::from_secs(10);

/// What the two workers have in common.
pub(super) struct Collector {
    client: Client,
    graph: Arc<Mutex<Graph>>,
    monitors: Arc<Monitors>,
    /// Owners that were found absent; a uid never comes back.
    absent: Mutex<VecDeque<String>>,
}

/// Looks at objects that may have to go.
pub(super) struct Deleter(pub(super) Arc<Collector>);

/// Looks at owners whose dependents are to be left behind.
pub(super) struct Orphaner(pub(super) Arc<Collector>);

/// The server does not serve a kind that an object names.
#[derive(Debug, thiserror::Error)]
#[error("kind {kind} of {api_version} is not served")]
struct UnknownKind {
    api_version: String,
    kind: String,
}

/// An object's owners, by what they are to it.
#[derive(Default)]
struct Owners {
    /// They are there and mean to stay.
    solid: Vec<String>,
    /// They are gone.
    dangling: Vec<String>,
    /// They wait for their dependents to go.
    waiting: Vec<String>,
}

#[async_trait::async_trait]
impl Reconcile<String> for Deleter {
    async fn reconcile(&self, uid: &String) -> Result<Action, BoxError> {
        let Some(node) = self.0.graph().get(uid) else {
            return Ok(Action::Done);
        };
        self.0.look_at(&node).await?;
        Ok(self.0.next_look(uid))
    }
}

#[async_trait::async_trait]
impl Reconcile<String> for Orphaner {
    async fn reconcile(&self, uid: &String) -> Result<Action, BoxError> {
        let Some(node) = self.0.graph().get(uid) else {
            return Ok(Action::Done);
        };
        let dependents = self.0.graph().dependents(uid);
        for dependent in &dependents {
            self.0.disown(dependent, std::slice::from_ref(uid)).await?;
        }
        self.0.remove_finalizer(&node, ORPHAN).await?;
        Ok(Action::Done)
    }
}

impl Collector {
    pub(super) fn new(client: Client, graph: Arc<Mutex<Graph>>, monitors: Arc<Monitors>) -> Self {
        Self {
            client,
            graph,
            monitors,
            absent: Mutex::default(),
        }
    }

    /// When to look again. An owner that is there, but that no watch has shown yet, may go between
    /// two watches: nobody would tell of its end.
    fn next_look(&self, uid: &str) -> Action {
        match self.graph().get(uid).map(|node| node.place) {
            Some(Place::Named { .. }) => Action::After(UNSEEN),
            _ => Action::Done,
        }
    }

    async fn look_at(&self, node: &Node) -> Result<(), BoxError> {
        if node.facts.deleting && !node.facts.waits_for_dependents() {
            return Ok(());
        }
        let Some(latest) = self
            .fetch(node)
            .await?
            .filter(|latest| latest.uid.as_deref() == Some(&node.facts.uid))
        else {
            // If somebody watches it, its end will be seen; if it was only named, this is its end.
            self.graph().remove_named(&node.facts.uid);
            return Ok(());
        };
        if node.facts.waits_for_dependents() {
            return self.end_foreground(node).await;
        }
        let facts = Facts::of(PartialObject {
            metadata: latest,
            ..Default::default()
        });
        if facts.owners.is_empty() {
            return Ok(());
        }
        let owners = self.classify(&facts).await?;
        if !owners.solid.is_empty() {
            let gone = [owners.dangling, owners.waiting].concat();
            if !gone.is_empty() {
                self.disown(node, &gone).await?;
            }
            return Ok(());
        }
        let waits = !owners.waiting.is_empty() && !self.graph().dependents(&facts.uid).is_empty();
        if waits {
            self.unblock_circle(node, &facts).await?;
        }
        let propagation = match (waits, facts.has_orphan, facts.has_foreground) {
            (true, ..) => Propagation::Foreground,
            (false, true, _) => Propagation::Orphan,
            (false, false, true) => Propagation::Foreground,
            (false, false, false) => Propagation::Background,
        };
        self.delete(node, &facts, propagation).await?;
        Ok(())
    }

    /// Lets an object go that waited for its dependents, or has those looked at that hold it up.
    async fn end_foreground(&self, node: &Node) -> Result<(), BoxError> {
        let dependents = self.graph().dependents(&node.facts.uid);
        let blocking: Vec<_> = dependents
            .iter()
            .filter(|dependent| dependent.facts.blocks(&node.facts.uid))
            .collect();
        if blocking.is_empty() {
            return self.remove_finalizer(node, FOREGROUND).await;
        }
        for dependent in blocking
            .into_iter()
            .filter(|dependent| !dependent.facts.waits_for_dependents())
        {
            self.graph().look_at(&dependent.facts.uid);
        }
        Ok(())
    }

    /// Objects that own each other would wait for each other for ever: one gives way.
    async fn unblock_circle(&self, node: &Node, facts: &Facts) -> Result<(), BoxError> {
        let dependents = self.graph().dependents(&facts.uid);
        if !dependents
            .iter()
            .any(|dependent| dependent.facts.waits_for_dependents())
        {
            return Ok(());
        }
        let mut owners = facts.owners.clone();
        owners
            .iter_mut()
            .for_each(|owner| owner.block_owner_deletion = Some(false));
        self.patch_owners(node, &facts.revision, &owners).await
    }

    async fn classify(&self, facts: &Facts) -> Result<Owners, BoxError> {
        let mut owners = Owners::default();
        for reference in &facts.owners {
            let list = match self.owner(facts, reference).await? {
                None => &mut owners.dangling,
                Some(owner) if owner.waits_for_dependents() => &mut owners.waiting,
                Some(_) => &mut owners.solid,
            };
            list.push(reference.uid.clone());
        }
        Ok(owners)
    }

    /// An owner as the server has it, if it is still the same object.
    async fn owner(
        &self,
        of: &Facts,
        reference: &OwnerReference,
    ) -> Result<Option<Facts>, BoxError> {
        if self.absent().contains(&reference.uid) {
            return Ok(None);
        }
        let resource = self.resource_of(&reference.api_version, &reference.kind)?;
        if resource.namespaced() && of.namespace.is_empty() {
            // Whose owner it could be is not known; better to keep the object.
            tracing::warn!(
                name = of.name,
                owner = reference.name,
                "cluster-scoped object names a namespaced owner"
            );
            return Ok(Some(Facts::default()));
        }
        let found = get(&resource.namespace(&of.namespace), &reference.name).await?;
        let found = found.filter(|meta| meta.uid.as_ref() == Some(&reference.uid));
        if found.is_none() {
            let mut absent = self.absent();
            absent.push_back(reference.uid.clone());
            if absent.len() > ABSENT_MAX {
                absent.pop_front();
            }
        }
        Ok(found.map(|metadata| {
            Facts::of(PartialObject {
                metadata,
                ..Default::default()
            })
        }))
    }

    async fn fetch(&self, node: &Node) -> Result<Option<ObjectMeta>, BoxError> {
        let resource = self.resource(node)?;
        if resource.namespaced() && node.facts.namespace.is_empty() {
            return Ok(None);
        }
        Ok(get(&resource, &node.facts.name).await?)
    }

    /// Takes owners away from an object.
    async fn disown(&self, node: &Node, uids: &[String]) -> Result<(), BoxError> {
        let Some(latest) = self.fetch(node).await? else {
            return Ok(());
        };
        if latest.uid.as_deref() != Some(&node.facts.uid) {
            return Ok(());
        }
        let before = latest.owner_references.unwrap_or_default();
        let kept: Vec<_> = before
            .iter()
            .filter(|owner| !uids.contains(&owner.uid))
            .cloned()
            .collect();
        if kept.len() == before.len() {
            return Ok(());
        }
        self.patch_owners(
            node,
            latest.resource_version.as_deref().unwrap_or_default(),
            &kept,
        )
        .await
    }

    /// A merge patch with the whole list, which custom resources understand too; the revision makes
    /// sure that nobody else's change is lost.
    async fn patch_owners(
        &self,
        node: &Node,
        revision: &str,
        owners: &[OwnerReference],
    ) -> Result<(), BoxError> {
        let owners: Vec<_> = owners.iter().map(|owner| json!({
            "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid,
            "controller": owner.controller, "blockOwnerDeletion": owner.block_owner_deletion,
        })).collect();
        let patch = json!({"metadata": {
            "uid": node.facts.uid, "resourceVersion": revision, "ownerReferences": without_nulls(owners),
        }});
        self.patch(node, patch).await
    }

    async fn remove_finalizer(&self, node: &Node, finalizer: &str) -> Result<(), BoxError> {
        let Some(latest) = self.fetch(node).await? else {
            return Ok(());
        };
        let before = latest.finalizers.unwrap_or_default();
        let kept: Vec<_> = before.iter().filter(|found| *found != finalizer).collect();
        if kept.len() == before.len() || latest.uid.as_deref() != Some(&node.facts.uid) {
            return Ok(());
        }
        let patch = json!({"metadata": {
            "uid": node.facts.uid, "resourceVersion": latest.resource_version, "finalizers": kept,
        }});
        self.patch(node, patch).await
    }

    async fn patch(&self, node: &Node, patch: serde_json::Value) -> Result<(), BoxError> {
        let resource = self.resource(node)?;
        let patched = resource
            .patch(
                &node.facts.name,
                "",
                &Patch::Merge(patch),
                &Default::default(),
            )
            .await;
        Ok(gone_is_fine(patched.map(drop))?)
    }

    async fn delete(
        &self,
        node: &Node,
        facts: &Facts,
        propagation: Propagation,
    ) -> Result<(), BoxError> {
        let options = DeleteOptions {
            uid: Some(facts.uid.clone()),
            resource_version: Some(facts.revision.clone()),
            propagation: Some(propagation),
            ..Default::default()
        };
        tracing::debug!(
            name = facts.name,
            namespace = facts.namespace,
            ?propagation,
            "deleting: no owner is left"
        );
        Ok(gone_is_fine(
            self.resource(node)?
                .delete(&facts.name, &options)
                .await
                .map(drop),
        )?)
    }

    /// The resource of an object, in its namespace.
    fn resource(&self, node: &Node) -> Result<Resource, UnknownKind> {
        let resource = match &node.place {
            Place::Seen { gvr, namespaced } => self.client.resource((**gvr).clone(), *namespaced),
            Place::Named { api_version, kind } => self.resource_of(api_version, kind)?,
        };
        Ok(resource.namespace(&node.facts.namespace))
    }

    fn resource_of(&self, api_version: &str, kind: &str) -> Result<Resource, UnknownKind> {
        match self.monitors.resource_of(api_version, kind) {
            Some(resource) => Ok(self.client.resource(resource.gvr, resource.namespaced)),
            None => Err(UnknownKind {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            }),
        }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn absent(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.absent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn get(resource: &Resource, name: &str) -> Result<Option<ObjectMeta>, Error> {
    let bytes = match resource.get(name, "").await {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes?,
    };
    let object = PartialObject::decode(&bytes);
    let object = object.map_err(|source| Error::Decode {
        method: http::Method::GET,
        path: format!("{} {name}", resource.gvr()),
        source,
    });
    Ok(Some(object?.metadata))
}

fn gone_is_fine(outcome: Result<(), Error>) -> Result<(), Error> {
    match outcome {
        Err(error) if error.is_not_found() => Ok(()),
        outcome => outcome,
    }
}

fn without_nulls(mut values: Vec<serde_json::Value>) -> Vec<serde_json::Value> {
    for value in &mut values {
        if let serde_json::Value::Object(fields) = value {
            fields.retain(|_, field| !field.is_null());
        }
    }
    values
}
