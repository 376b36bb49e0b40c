//! ReplicaSets: see [`crate::replicas`].

use crate::replicas::{self, Replicated};
use crate::rule::EVENTS;
use crate::{Controller, Rule};
use typed::api::apps::v1::{ReplicaSet, ReplicaSetStatus};

pub(crate) const CONTROLLER: Controller = Controller {
    name: "replicaset-controller",
    identity: "replicaset-controller",
    rules: &[
        Rule::new(
            &["apps", "extensions"],
            &["replicasets"],
            &["get", "list", "update", "watch"],
        ),
        Rule::new(
            &["apps", "extensions"],
            &["replicasets/status"],
            &["update"],
        ),
        Rule::new(
            &["apps", "extensions"],
            &["replicasets/finalizers"],
            &["update"],
        ),
        Rule::new(
            &[""],
            &["pods"],
            &["create", "delete", "list", "patch", "watch"],
        ),
        EVENTS,
    ],
    start: |context| replicas::start::<ReplicaSet>(context, "replicaset-controller"),
};

impl Replicated for ReplicaSet {
    fn as_replica_set(&self) -> Option<ReplicaSet> {
        self.spec.template.as_ref()?;
        Some(self.clone())
    }

    fn with_status(&self, status: ReplicaSetStatus) -> Self {
        Self {
            status: Some(status),
            ..self.clone()
        }
    }
}
