//! What a deployment has to do next, decided from a snapshot.
//!
//! The plan works on copies as if each step had been taken, so that the status at its end is what
//! the steps lead to. Follows syncDeployment in pkg/controller/deployment/deployment_controller.go
//! and getNewReplicaSet in sync.go.

use super::hash::template_hash;
use super::sets::{self, REVISION, TEMPLATE_HASH};
use super::status;
use crate::pods;
use informer::Action;
use std::sync::Arc;
use stdx::Timestamp;
use typed::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use typed::api::core::v1::PodTemplateSpec;
use typed::lean::Pod;
use typed::meta::{LabelSelector, ObjectMeta};
use typed::{Labels, Typed};

/// What is.
pub(super) struct Snapshot<'a> {
    pub(super) deployment: &'a Deployment,
    /// The deployment's own sets.
    pub(super) sets: &'a [Arc<ReplicaSet>],
    /// Their pods.
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) now: Timestamp,
}

/// What to do.
#[derive(Debug)]
pub(super) struct Plan {
    /// In this order.
    pub(super) steps: Vec<Step>,
    /// The deployment with the status to write, unless it is as before.
    pub(super) deployment: Deployment,
    /// When to look again.
    pub(super) action: Action,
}

/// A step to take.
#[derive(Debug)]
pub(super) enum Step {
    /// Record a warning: reason and message.
    Warn(&'static str, String),
    /// Create a set.
    Create(Box<ReplicaSet>),
    /// Update a set; if it is scaled, from and to.
    Update(Box<ReplicaSet>, Option<(i32, i32)>),
    /// Delete a set by name.
    Delete(String),
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) snapshot: &'a Snapshot<'a>,
    pub(super) deployment: Deployment,
    /// The set of the present template.
    pub(super) new: Option<ReplicaSet>,
    /// The others, the oldest first.
    pub(super) old: Vec<ReplicaSet>,
    pub(super) steps: Vec<Step>,
}

/// Whether the deployment's selector is empty, and so would select every pod.
pub(super) fn selects_all(deployment: &Deployment) -> bool {
    deployment.spec.selector == LabelSelector::default()
}

/// Whether a set is the deployment's own set of the present template.
pub(super) fn is_set_of(set: &ReplicaSet, deployment: &Deployment) -> bool {
    set.controller()
        .is_some_and(|owner| owner.uid == deployment.uid())
        && has_template_of(set, deployment)
}

/// Decides what to do next.
pub(super) fn plan(snapshot: &Snapshot<'_>) -> Plan {
    if selects_all(snapshot.deployment) {
        return refuse_all(snapshot);
    }
    let mut draft = Draft::new(snapshot);
    let deployment = snapshot.deployment;
    if deployment.is_deleting() {
        draft.renumber();
        return draft.finish_quietly();
    }
    draft.note_pause();
    let paused = deployment.spec.paused.unwrap_or(false);
    if paused || (draft.is_scaled() && draft.can_scale()) {
        draft.renumber();
        draft.scale();
        draft.clean_up();
        return draft.finish_quietly();
    }
    if sets::is_rolling(deployment) {
        draft.roll()
    } else {
        draft.recreate()
    }
    draft.finish()
}

fn refuse_all(snapshot: &Snapshot<'_>) -> Plan {
    let message = "This deployment is selecting all pods. A non-empty selector is required.";
    let mut deployment = snapshot.deployment.clone();
    let generation = deployment.generation();
    let status = deployment.status.get_or_insert_default();
    if status.observed_generation.unwrap_or(0) < generation {
        status.observed_generation = Some(generation);
    }
    Plan {
        steps: vec![Step::Warn("SelectingAll", message.to_owned())],
        deployment,
        action: Action::Done,
    }
}

impl<'a> Draft<'a> {
    fn new(snapshot: &'a Snapshot<'a>) -> Self {
        let mut old: Vec<ReplicaSet> = snapshot.sets.iter().map(|set| (**set).clone()).collect();
        old.sort_by(sets::by_age);
        let newest = old
            .iter()
            .position(|set| has_template_of(set, snapshot.deployment));
        let new = newest.map(|index| old.remove(index));
        Self {
            snapshot,
            deployment: snapshot.deployment.clone(),
            new,
            old,
            steps: Vec::new(),
        }
    }

    /// All sets, the new one last.
    pub(super) fn all(&self) -> impl Iterator<Item = &ReplicaSet> {
        self.old.iter().chain(&self.new)
    }

    /// Numbers the new set, and the deployment after it. Follows the first half of
    /// getNewReplicaSet.
    pub(super) fn renumber(&mut self) {
        let revision = self.next_revision();
        let Some(set) = &mut self.new else { return };
        let min_ready = self.deployment.spec.min_ready_seconds;
        let mut changed = sets::annotate_newest(set, &self.deployment, revision);
        if set.spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
            set.spec.min_ready_seconds = min_ready;
            changed = true;
        }
        if changed {
            self.steps.push(Step::Update(Box::new(set.clone()), None));
            return;
        }
        let (name, number) = (
            set.name().to_owned(),
            set.annotations().get(REVISION).cloned(),
        );
        if let Some(number) = number {
            self.number_deployment(number);
        }
        if status::has_deadline(&self.deployment) && status::progress(&self.deployment).is_none() {
            let message = format!("Found new replica set \"{name}\"");
            self.set_progress("True", status::FOUND_NEW_SET, message);
        }
    }

    /// The new set, created if there is none. Follows the second half of getNewReplicaSet.
    pub(super) fn require_new(&mut self) {
        self.renumber();
        if self.new.is_some() {
            return;
        }
        let revision = self.next_revision();
        let mut set = new_set(&self.deployment);
        let replicas = self.new_set_replicas(&set);
        set.spec.replicas = Some(replicas);
        sets::annotate_newest(&mut set, &self.deployment, revision);
        sets::annotate_replicas(&mut set, &self.deployment);
        self.steps.push(Step::Create(Box::new(set.clone())));
        self.number_deployment(revision.to_string());
        if status::has_deadline(&self.deployment) {
            let message = format!("Created new replica set \"{}\"", set.name());
            self.set_progress("True", status::NEW_SET_CREATED, message);
        }
        self.new = Some(set);
    }

    /// How many pods the new set may have now.
    pub(super) fn new_set_replicas(&self, new: &ReplicaSet) -> i32 {
        let wanted = sets::wanted(&self.deployment);
        if !sets::is_rolling(&self.deployment) {
            return wanted;
        }
        let own = sets::replicas(new);
        let present: i32 = self.old.iter().map(sets::replicas).sum::<i32>() + own;
        let most = wanted.saturating_add(sets::max_surge(&self.deployment));
        if present >= most {
            own
        } else {
            own + (most - present).min(wanted - own)
        }
    }

    /// Gives a set another size, and notes what the deployment wants. Returns whether it was sized.
    pub(super) fn resize(&mut self, name: &str, size: i32) -> bool {
        let deployment = &self.deployment;
        let Some(set) = self
            .old
            .iter_mut()
            .chain(&mut self.new)
            .find(|set| set.name() == name)
        else {
            return false;
        };
        let from = sets::replicas(set);
        let annotated = sets::annotate_replicas(set, deployment);
        if from == size && !annotated {
            return false;
        }
        set.spec.replicas = Some(size);
        let scaled = (from != size).then_some((from, size));
        self.steps.push(Step::Update(Box::new(set.clone()), scaled));
        scaled.is_some()
    }

    /// Gives a set another size, unless it has it.
    pub(super) fn resize_if_needed(&mut self, name: &str, size: i32) -> bool {
        let differs = self
            .all()
            .any(|set| set.name() == name && sets::replicas(set) != size);
        differs && self.resize(name, size)
    }

    /// Deletes old empty sets beyond the history limit. Follows cleanupDeployment.
    pub(super) fn clean_up(&mut self) {
        let limit = self.deployment.spec.revision_history_limit;
        let Some(limit) = limit.filter(|limit| *limit != i32::MAX) else {
            return;
        };
        let mut alive: Vec<&ReplicaSet> =
            self.old.iter().filter(|set| !set.is_deleting()).collect();
        let surplus = alive
            .len()
            .saturating_sub(usize::try_from(limit).unwrap_or(0));
        alive.sort_by(|one, two| {
            sets::revision(one)
                .cmp(&sets::revision(two))
                .then_with(|| sets::by_age(one, two))
        });
        let is_settled = |set: &&&ReplicaSet| {
            let observed = set
                .status
                .as_ref()
                .and_then(|status| status.observed_generation)
                .unwrap_or(0);
            sets::actual(set) == 0 && sets::replicas(set) == 0 && set.generation() <= observed
        };
        let gone = alive
            .iter()
            .take(surplus)
            .filter(is_settled)
            .map(|set| Step::Delete(set.name().to_owned()));
        let gone: Vec<Step> = gone.collect();
        self.steps.extend(gone);
    }

    /// Whether pods of old templates may still run.
    pub(super) fn old_pods_run(&self) -> bool {
        if self.old.iter().any(|set| sets::actual(set) > 0) {
            return true;
        }
        let new = self.new.as_ref().map(Typed::uid);
        let of_old = |pod: &&Arc<Pod>| pod.controller().map(|owner| owner.uid.as_str()) != new;
        self.snapshot
            .pods
            .iter()
            .filter(of_old)
            .any(|pod| !pods::is_terminal(pod))
    }

    pub(super) fn set_progress(&mut self, state: &str, reason: &str, message: String) {
        let now = self.snapshot.now;
        status::set_condition(
            self.deployment.status.get_or_insert_default(),
            status::PROGRESSING,
            state,
            reason,
            message,
            now,
        );
    }

    /// A pause stops the clock of the progress deadline. Follows checkPausedConditions.
    fn note_pause(&mut self) {
        if !status::has_deadline(&self.deployment) {
            return;
        }
        let reason =
            status::progress(&self.deployment).and_then(|condition| condition.reason.clone());
        let reason = reason.unwrap_or_default();
        let paused = self.deployment.spec.paused.unwrap_or(false);
        if reason == status::TIMED_OUT {
            return;
        }
        if paused && reason != status::PAUSED {
            self.set_progress("Unknown", status::PAUSED, "Deployment is paused".to_owned());
        } else if !paused && reason == status::PAUSED {
            self.set_progress(
                "Unknown",
                status::RESUMED,
                "Deployment is resumed".to_owned(),
            );
        }
    }

    /// Whether the deployment was scaled since its sets last were. Follows isScalingEvent.
    fn is_scaled(&self) -> bool {
        let wanted = sets::wanted(&self.deployment);
        let active = self.all().filter(|set| sets::replicas(set) > 0);
        active
            .filter_map(|set| sets::annotated(set, sets::DESIRED_REPLICAS))
            .any(|desired| desired != wanted)
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(sets::revision).max().unwrap_or(0) + 1
    }

    fn number_deployment(&mut self, number: String) {
        if self.deployment.annotations().get(REVISION) != Some(&number) {
            self.deployment
                .annotations_mut()
                .insert(REVISION.to_owned(), number);
        }
    }

    /// The end of a plan that estimates no progress.
    fn finish_quietly(mut self) -> Plan {
        let status = status::calculate(&self);
        self.deployment.status = Some(status);
        Plan {
            steps: self.steps,
            deployment: self.deployment,
            action: Action::Done,
        }
    }

    fn finish(mut self) -> Plan {
        let status = status::estimate(&self);
        self.deployment.status = Some(status);
        let settled = self.deployment == *self.snapshot.deployment;
        let action = if settled {
            status::next_look(&self.deployment, self.snapshot.now)
        } else {
            Action::Done
        };
        Plan {
            steps: self.steps,
            deployment: self.deployment,
            action,
        }
    }
}

fn has_template_of(set: &ReplicaSet, deployment: &Deployment) -> bool {
    let own = set.spec.template.as_ref();
    own.is_some_and(|own| sets::same_template(own, &deployment.spec.template))
}

/// The set of the deployment's template, without pods.
fn new_set(deployment: &Deployment) -> ReplicaSet {
    let spec = deployment.spec.clone();
    let collisions = deployment
        .status
        .as_ref()
        .and_then(|status| status.collision_count);
    let hash = template_hash(&spec.template, collisions);
    let labelled = |labels: Option<Labels>| {
        let mut labels = labels.unwrap_or_default();
        labels.insert(TEMPLATE_HASH.to_owned(), hash.clone());
        labels
    };
    let PodTemplateSpec {
        metadata,
        spec: pod,
    } = spec.template;
    let template_meta = metadata.unwrap_or_default();
    let labels = labelled(template_meta.labels.clone());
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels.clone()),
            ..template_meta
        }),
        spec: pod,
    };
    let selector = LabelSelector {
        match_labels: Some(labelled(spec.selector.match_labels)),
        ..spec.selector
    };
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name())),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            owner_references: Some(vec![deployment.controller_reference()]),
            ..Default::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(0),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}
