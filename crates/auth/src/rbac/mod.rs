//! Role-based access control: an index of roles and bindings that follows the
//! objects, and answers from memory. Follows plugin/pkg/auth/authorizer/rbac
//! and pkg/registry/rbac/validation.

pub mod bootstrap;
mod escalation;
mod index;
pub mod reconcile;
mod rule;
#[cfg(test)]
mod tests;

pub use rule::Rule;

use crate::{Attributes, Authorizer, Decision, Rules, Target, User};
use index::{Index, RoleRef};
use meta::object::Object as _;
use meta::{Map, Value};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// The kinds of which the index is made.
pub const KINDS: [&str; 4] = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// Says who may do what, by roles and bindings.
#[derive(Debug, Default)]
pub struct Rbac {
    index: RwLock<Index>,
}

impl Rbac {
    /// Nobody may do anything yet.
    pub fn new() -> Self {
        Rbac::default()
    }

    /// Takes in an object of one of [`KINDS`] as it is now; others are ignored.
    pub fn put(&self, kind: &str, object: &Value) {
        let mut index = self.write();
        match kind {
            "ClusterRole" => index.put_cluster_role(object.name(), object),
            "Role" => index.put_role(object.namespace(), object.name(), object),
            "ClusterRoleBinding" | "RoleBinding" => index.put_binding(object),
            _ => {}
        }
    }

    /// Forgets an object of one of [`KINDS`]; others are ignored.
    pub fn remove(&self, kind: &str, namespace: &str, name: &str) {
        let mut index = self.write();
        match kind {
            "ClusterRole" => index.remove_cluster_role(name),
            "Role" => index.remove_role(namespace, name),
            "ClusterRoleBinding" => index.remove_binding("", name),
            "RoleBinding" => index.remove_binding(namespace, name),
            _ => {}
        }
    }

    /// Takes in all objects of one of [`KINDS`], as after a watch that broke:
    /// what is not among them is gone.
    pub fn replace(&self, kind: &str, objects: &[Value]) {
        let stays = |namespace: &str, name: &str| {
            let mut all = objects.iter();
            all.any(|o| o.name() == name && o.namespace() == namespace)
        };
        let known = self.read().names(kind);
        for (namespace, name) in known {
            if !stays(&namespace, &name) {
                self.remove(kind, &namespace, &name);
            }
        }
        for object in objects {
            self.put(kind, object);
        }
    }

    /// The rules that hold for a user in a namespace (empty for those of the
    /// whole cluster), and what went wrong in finding them.
    pub fn rules_of(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let mut rules = Vec::new();
        let missing = self.read().visit(user, namespace, |_, rule| {
            rules.push(rule.clone());
            false
        });
        (rules, missing)
    }

    /// The rules of the role that a binding in a namespace refers to, by kind
    /// and name; or what is not found.
    pub fn rules_of_role(
        &self,
        kind: &str,
        name: &str,
        namespace: &str,
    ) -> Result<Vec<Rule>, String> {
        let role = RoleRef::new(kind, name);
        let index = self.read();
        let rules = index.rules(&role, namespace);
        rules
            .map(|rules| rules.to_vec())
            .ok_or_else(|| role.not_found())
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authorizer for Rbac {
    fn authorize(&self, attributes: &Attributes<'_>) -> Decision {
        let Attributes { user, verb, target } = attributes;
        let namespace = match target {
            Target::Resource { namespace, .. } => namespace,
            Target::Path(_) => "",
        };
        let mut allowed = None;
        let missing = self.read().visit(user, namespace, |binding, rule| {
            let allows = rule.allows(verb, target);
            if allows {
                allowed = Some(format!("RBAC: allowed by {}", binding.shown(user)));
            }
            allows
        });
        match (allowed, aggregate(&missing)) {
            (Some(why), _) => Decision::Allow(why),
            (None, missing) if missing.is_empty() => Decision::NoOpinion(String::new()),
            (None, missing) => Decision::NoOpinion(format!("RBAC: {missing}")),
        }
    }

    fn rules(&self, user: &User, namespace: &str) -> Rules {
        let (rules, missing) = self.rules_of(user, namespace);
        let mut found = Rules {
            error: aggregate(&missing),
            ..Rules::default()
        };
        for rule in rules {
            if !rule.resources.is_empty() {
                found.resource.push(part(
                    &rule,
                    &["verbs", "apiGroups", "resources", "resourceNames"],
                ));
            }
            if !rule.urls.is_empty() {
                found.path.push(part(&rule, &["verbs", "nonResourceURLs"]));
            }
        }
        found
    }
}

fn part(rule: &Rule, keys: &[&str]) -> Value {
    let Value::Object(whole) = rule.to_value() else {
        return Value::object();
    };
    let entries = whole
        .into_iter()
        .filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(entries.collect::<Map>())
}

/// Several errors as one: `a`, or `[a, b]`, each once.
pub(crate) fn aggregate(errors: &[String]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for error in errors {
        if !once.contains(&error.as_str()) {
            once.push(error);
        }
    }
    match once.as_slice() {
        [] => String::new(),
        [one] => (*one).to_string(),
        several => format!("[{}]", several.join(", ")),
    }
}
