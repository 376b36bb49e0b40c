//! ReplicationControllers: ReplicaSets with a selector that is a plain map. Follows
//! pkg/controller/replication/conversion.go.

use crate::replicas::{self, Replicated};
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use typed::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetSpec, ReplicaSetStatus};
use typed::api::core::v1::{
    ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus,
};
use typed::meta::LabelSelector;

pub(crate) const CONTROLLER: Controller = Controller {
    name: "replicationcontroller-controller",
    identity: "replication-controller",
    rules: &[
        Rule::new(
            &[""],
            &["replicationcontrollers"],
            &["get", "list", "update", "watch"],
        ),
        Rule::new(&[""], &["replicationcontrollers/status"], &["update"]),
        Rule::new(&[""], &["replicationcontrollers/finalizers"], &["update"]),
        Rule::new(
            &[""],
            &["pods"],
            &["create", "delete", "list", "patch", "watch"],
        ),
        EVENTS,
    ],
    start: |context| replicas::start::<ReplicationController>(context, "replication-controller"),
};

impl Replicated for ReplicationController {
    fn as_replica_set(&self) -> Option<ReplicaSet> {
        let spec = self.spec.as_ref()?;
        let selector = LabelSelector {
            match_labels: Some(spec.selector.clone()?),
            match_expressions: None,
        };
        Some(ReplicaSet {
            metadata: self.metadata.clone(),
            spec: ReplicaSetSpec {
                replicas: spec.replicas,
                min_ready_seconds: spec.min_ready_seconds,
                selector,
                template: Some(spec.template.clone()?),
            },
            status: self.status.clone().map(as_replica_set_status),
        })
    }

    /// A ReplicationController does not tell of pods that are ending.
    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(as_own_status(status)),
            ..self.clone()
        }
    }
}

fn as_replica_set_status(status: ReplicationControllerStatus) -> ReplicaSetStatus {
    let conditions = status.conditions.map(|conditions| {
        conditions
            .into_iter()
            .map(as_replica_set_condition)
            .collect()
    });
    ReplicaSetStatus {
        replicas: status.replicas,
        fully_labeled_replicas: status.fully_labeled_replicas,
        ready_replicas: status.ready_replicas,
        available_replicas: status.available_replicas,
        observed_generation: status.observed_generation,
        terminating_replicas: None,
        conditions,
    }
}

fn as_own_status(status: ReplicaSetStatus) -> ReplicationControllerStatus {
    let conditions = status
        .conditions
        .map(|conditions| conditions.into_iter().map(as_own_condition).collect());
    ReplicationControllerStatus {
        replicas: status.replicas,
        fully_labeled_replicas: status.fully_labeled_replicas,
        ready_replicas: status.ready_replicas,
        available_replicas: status.available_replicas,
        observed_generation: status.observed_generation,
        conditions,
    }
}

fn as_replica_set_condition(condition: ReplicationControllerCondition) -> ReplicaSetCondition {
    ReplicaSetCondition {
        type_: Some(condition.type_),
        status: Some(condition.status),
        reason: condition.reason,
        message: condition.message,
        last_transition_time: condition.last_transition_time,
    }
}

fn as_own_condition(condition: ReplicaSetCondition) -> ReplicationControllerCondition {
    ReplicationControllerCondition {
        type_: condition.type_.unwrap_or_default(),
        status: condition.status.unwrap_or_default(),
        reason: condition.reason,
        message: condition.message,
        last_transition_time: condition.last_transition_time,
    }
}
