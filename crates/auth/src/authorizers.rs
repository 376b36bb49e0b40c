//! Several authorisers as one, and the two rules above all: system:masters may
//! do everything, and anonymous users may be kept from everything but health.
//! Follows apiserver's pkg/authorization/union and
//! pkg/authorization/authorizerfactory.

use crate::rbac::aggregate;
use crate::user::{ANONYMOUS, MASTERS};
use crate::{Attributes, Authorizer, Decision, Rules, Target, User};
use std::sync::Arc;

/// What anonymous users may look at.
const HEALTH: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// Authorisers that are asked in turn; the first with an opinion decides.
#[derive(Clone)]
pub struct Authorizers {
    authorizers: Vec<Arc<dyn Authorizer>>,
    anonymous_health_only: bool,
}

impl Authorizers {
    /// These, in this order. Upstream's is Node, then RBAC.
    pub fn new(authorizers: Vec<Arc<dyn Authorizer>>) -> Self {
        Authorizers {
            authorizers,
            anonymous_health_only: false,
        }
    }

    /// Keeps anonymous users from everything but the health endpoints, whatever
    /// is bound to them.
    pub fn anonymous_health_only(mut self, only: bool) -> Self {
        self.anonymous_health_only = only;
        self
    }

    fn keeps_out(&self, attributes: &Attributes<'_>) -> bool {
        let healthy = matches!(attributes.target, Target::Path(path)
            if HEALTH.contains(&path.trim_end_matches('/')));
        self.anonymous_health_only && attributes.user.name == ANONYMOUS && !healthy
    }
}

impl Authorizer for Authorizers {
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        if attributes.user.is_in(MASTERS) {
            return Decision::Allow(String::new());
        }
        if self.keeps_out(attributes) {
            return Decision::Deny("anonymous users may see the server's health only".into());
        }
        let mut reasons = Vec::new();
        for authorizer in &self.authorizers {
            match authorizer.authorize(attributes) {
                Decision::NoOpinion(why) if why.is_empty() => {}
                Decision::NoOpinion(why) => reasons.push(why),
                decision => return decision,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }

    fn rules(&self, user: &User, namespace: &str) -> Rules {
        let mut all = Rules::default();
        let mut errors = Vec::new();
        for authorizer in &self.authorizers {
            let rules = authorizer.rules(user, namespace);
            all.resource.extend(rules.resource);
            all.path.extend(rules.path);
            all.incomplete |= rules.incomplete;
            errors.extend(Some(rules.error).filter(|e| !e.is_empty()));
        }
        all.error = aggregate(&errors);
        all
    }
}
