//! Who owns whom. Follows processGraphChanges in pkg/controller/garbagecollector/graph_builder.go.

use super::node::{Facts, Node, Place};
use client::Gvr;
use informer::{Change, Queue};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use typed::meta::OwnerReference;

/// All objects by uid, and the queues of those to look at.
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
    deletions: Queue<String>,
    orphanings: Queue<String>,
}

impl Graph {
    pub(super) fn new(deletions: Queue<String>, orphanings: Queue<String>) -> Self {
        Self {
            nodes: BTreeMap::new(),
            deletions,
            orphanings,
        }
    }

    pub(super) fn get(&self, uid: &str) -> Option<Node> {
        self.nodes.get(uid).cloned()
    }

    /// The objects that name this one as an owner.
    pub(super) fn dependents(&self, uid: &str) -> Vec<Node> {
        let dependents = self
            .nodes
            .get(uid)
            .into_iter()
            .flat_map(|node| &node.dependents);
        dependents.filter_map(|uid| self.get(uid)).collect()
    }

    /// Has an object looked at.
    pub(super) fn look_at(&self, uid: &str) {
        self.deletions.add(uid.to_owned());
    }

    /// Takes in what happened to an object of a resource.
    pub(super) fn take(&mut self, gvr: &Arc<Gvr>, namespaced: bool, change: &Change<Facts>) {
        match (&change.old, &change.new) {
            // The name was reused between two looks of the cache.
            (Some(old), Some(new)) if old.uid != new.uid => {
                self.remove(&old.uid);
                self.put(gvr, namespaced, new);
            }
            (_, Some(new)) => self.put(gvr, namespaced, new),
            (Some(old), None) => self.remove(&old.uid),
            (None, None) => {}
        }
    }

    /// An object that was only named by others turned out not to exist.
    pub(super) fn remove_named(&mut self, uid: &str) {
        if self
            .nodes
            .get(uid)
            .is_some_and(|node| matches!(node.place, Place::Named { .. }))
        {
            self.remove(uid);
        }
    }

    fn put(&mut self, gvr: &Arc<Gvr>, namespaced: bool, facts: &Arc<Facts>) {
        let place = Place::Seen {
            gvr: gvr.clone(),
            namespaced,
        };
        let known = self.nodes.get_mut(&facts.uid);
        let (old, is_new) = match known {
            Some(node) => {
                let was_named = matches!(node.place, Place::Named { .. });
                node.place = place;
                (std::mem::replace(&mut node.facts, facts.clone()), was_named)
            }
            None => {
                let node = Node {
                    place,
                    facts: facts.clone(),
                    dependents: BTreeSet::new(),
                };
                self.nodes.insert(facts.uid.clone(), node);
                (Arc::default(), true)
            }
        };
        self.relink(&old.owners, facts);
        self.note_transitions(&old, facts);
        // One that comes with owners may have lost them while nobody watched.
        if is_new
            && !facts.owners.is_empty()
            && facts.owners.iter().any(|owner| self.is_unseen(&owner.uid))
        {
            self.look_at(&facts.uid);
        }
    }

    fn is_unseen(&self, uid: &str) -> bool {
        self.nodes
            .get(uid)
            .is_none_or(|node| matches!(node.place, Place::Named { .. }))
    }

    /// Brings the links to owners up to date. An owner that waits for its dependents is looked at
    /// when one of them no longer holds it up.
    fn relink(&mut self, before: &[OwnerReference], facts: &Facts) {
        for owner in before {
            let still = facts
                .owners
                .iter()
                .find(|reference| reference.uid == owner.uid);
            let unblocked = owner.block_owner_deletion == Some(true)
                && still.is_none_or(|reference| reference.block_owner_deletion != Some(true));
            if let Some(node) = self.nodes.get_mut(&owner.uid) {
                if still.is_none() {
                    node.dependents.remove(&facts.uid);
                }
                if unblocked && node.facts.waits_for_dependents() {
                    self.deletions.add(owner.uid.clone());
                }
            }
        }
        for owner in &facts.owners {
            self.link(owner, facts);
        }
    }

    /// Links an object to an owner, which is put into the graph by name if nobody has seen it.
    fn link(&mut self, owner: &OwnerReference, dependent: &Facts) {
        if let Some(node) = self.nodes.get_mut(&owner.uid) {
            node.dependents.insert(dependent.uid.clone());
            return;
        }
        let facts = Facts {
            namespace: dependent.namespace.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
            ..Facts::default()
        };
        let place = Place::Named {
            api_version: owner.api_version.clone(),
            kind: owner.kind.clone(),
        };
        let dependents = BTreeSet::from([dependent.uid.clone()]);
        self.nodes.insert(
            owner.uid.clone(),
            Node {
                place,
                facts: Arc::new(facts),
                dependents,
            },
        );
        self.look_at(&owner.uid);
    }

    fn note_transitions(&self, old: &Facts, new: &Facts) {
        if new.waits_for_orphans() && !old.waits_for_orphans() {
            self.orphanings.add(new.uid.clone());
        } else if new.waits_for_dependents() && !old.waits_for_dependents() {
            let dependents = self
                .nodes
                .get(&new.uid)
                .into_iter()
                .flat_map(|node| &node.dependents);
            dependents.for_each(|uid| self.look_at(uid));
            self.look_at(&new.uid);
        }
    }

    fn remove(&mut self, uid: &str) {
        let Some(node) = self.nodes.remove(uid) else {
            return;
        };
        node.dependents.iter().for_each(|uid| self.look_at(uid));
        for owner in &node.facts.owners {
            if let Some(owner) = self.nodes.get_mut(&owner.uid) {
                owner.dependents.remove(uid);
                if owner.facts.waits_for_dependents() {
                    self.deletions.add(owner.facts.uid.clone());
                }
            }
        }
    }
}
