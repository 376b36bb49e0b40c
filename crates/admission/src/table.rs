//! All plugins, in the order in which upstream recommends to ask them
//! (pkg/kubeapiserver/options/plugins.go).

use crate::default_toleration_seconds::DefaultTolerationSeconds;
use crate::limit_ranger::LimitRanger;
use crate::namespace_lifecycle::NamespaceLifecycle;
use crate::node_restriction::NodeRestriction;
use crate::pod_security::PodSecurity;
use crate::pod_topology_labels::PodTopologyLabels;
use crate::priority::Priority;
use crate::rbac_escalation::RbacEscalation;
use crate::runtime_class::RuntimeClass;
use crate::service_account::ServiceAccount;
use crate::taint_nodes_by_condition::TaintNodesByCondition;
use crate::{Chain, Plugin};
use auth::{Authorizer, Rbac};
use std::sync::Arc;
use stdx::{Clock, Rng};

/// What plugins need of the server.
#[derive(Clone)]
pub struct Needs {
    /// The time.
    pub clock: Clock,
    /// Chance, for names.
    pub rng: Rng,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Roles and bindings.
    pub rbac: Arc<Rbac>,
}

/// Every plugin there is.
pub fn chain(needs: &Needs) -> Chain {
    let (clock, rng) = (needs.clock.clone(), needs.rng.clone());
    let plugins: Vec<Box<dyn Plugin>> = vec![
        Box::new(NamespaceLifecycle),
        Box::new(LimitRanger),
        Box::new(ServiceAccount::new(clock, rng)),
        Box::new(NodeRestriction),
        Box::new(TaintNodesByCondition),
        Box::new(PodSecurity),
        Box::new(Priority),
        Box::new(DefaultTolerationSeconds),
        Box::new(RuntimeClass),
        Box::new(PodTopologyLabels),
        // Upstream asks this where roles are stored, after everybody else.
        Box::new(RbacEscalation::new(
            needs.authorizer.clone(),
            needs.rbac.clone(),
        )),
    ];
    Chain::new(plugins)
}
