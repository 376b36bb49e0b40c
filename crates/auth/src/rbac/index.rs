//! Roles and bindings as requests ask for them: from a subject to the bindings
//! that name it, from a binding to its role's rules.

use super::rule::Rule;
use crate::User;
use meta::Value;
use meta::object::Object as _;
use rustc_hash::FxHashMap;
use std::sync::Arc;

type Rules = Arc<[Rule]>;

/// All roles and bindings.
#[derive(Debug, Default)]
pub(super) struct Index {
    cluster_roles: FxHashMap<String, Rules>,
    roles: FxHashMap<String, FxHashMap<String, Rules>>,
    cluster: Bindings,
    namespaces: FxHashMap<String, Bindings>,
}

/// The bindings of a namespace, or those of the cluster.
#[derive(Debug, Default)]
struct Bindings {
    by_name: FxHashMap<String, Arc<Binding>>,
    users: FxHashMap<String, Vec<Arc<Binding>>>,
    groups: FxHashMap<String, Vec<Arc<Binding>>>,
}

/// A binding.
#[derive(Debug)]
pub(super) struct Binding {
    name: String,
    /// Empty for a ClusterRoleBinding.
    namespace: String,
    pub(super) role: RoleRef,
    subjects: Vec<Subject>,
}

/// The role that a binding grants.
#[derive(Clone, Debug)]
pub(super) struct RoleRef {
    is_cluster: bool,
    name: String,
}

#[derive(Debug)]
struct Subject {
    is_group: bool,
    /// The group's or user's name; a service account's user name.
    name: String,
    /// As reasons show it.
    shown: String,
}

impl Index {
    pub(super) fn put_role(&mut self, namespace: &str, name: &str, role: &Value) {
        let rules = Rule::read_all(role).into();
        self.roles
            .entry(namespace.into())
            .or_default()
            .insert(name.into(), rules);
    }

    pub(super) fn put_cluster_role(&mut self, name: &str, role: &Value) {
        self.cluster_roles
            .insert(name.into(), Rule::read_all(role).into());
    }

    pub(super) fn put_binding(&mut self, object: &Value) {
        let binding = Binding::read(object);
        let bindings = match binding.namespace.as_str() {
            "" => &mut self.cluster,
            namespace => self.namespaces.entry(namespace.into()).or_default(),
        };
        bindings.put(binding);
    }

    pub(super) fn remove_role(&mut self, namespace: &str, name: &str) {
        if let Some(roles) = self.roles.get_mut(namespace) {
            roles.remove(name);
            if roles.is_empty() {
                self.roles.remove(namespace);
            }
        }
    }

    pub(super) fn remove_cluster_role(&mut self, name: &str) {
        self.cluster_roles.remove(name);
    }

    pub(super) fn remove_binding(&mut self, namespace: &str, name: &str) {
        if namespace.is_empty() {
            return self.cluster.remove(name);
        }
        if let Some(bindings) = self.namespaces.get_mut(namespace) {
            bindings.remove(name);
            if bindings.by_name.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    /// Namespaces and names of all objects of a kind.
    pub(super) fn names(&self, kind: &str) -> Vec<(String, String)> {
        let of = |namespace: &str, names: Vec<&String>| -> Vec<(String, String)> {
            let names = names.into_iter();
            names
                .map(|name| (namespace.to_string(), name.clone()))
                .collect()
        };
        let roles = self.roles.iter();
        let bindings = self.namespaces.iter();
        match kind {
            "ClusterRole" => of("", self.cluster_roles.keys().collect()),
            "ClusterRoleBinding" => of("", self.cluster.by_name.keys().collect()),
            "Role" => roles
                .flat_map(|(ns, all)| of(ns, all.keys().collect()))
                .collect(),
            "RoleBinding" => bindings
                .flat_map(|(ns, all)| of(ns, all.by_name.keys().collect()))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The rules of a role.
    pub(super) fn rules(&self, role: &RoleRef, namespace: &str) -> Option<&Rules> {
        match role.is_cluster {
            true => self.cluster_roles.get(&role.name),
            false => self.roles.get(namespace)?.get(&role.name),
        }
    }

    /// Shows each rule that holds for a user in a namespace (empty for rules of
    /// the whole cluster alone) until `stop` says so; gives the roles that
    /// are bound and not there.
    pub(super) fn visit(
        &self,
        user: &User,
        namespace: &str,
        mut stop: impl FnMut(&Binding, &Rule) -> bool,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        let own = (!namespace.is_empty())
            .then(|| self.namespaces.get(namespace))
            .flatten();
        for bindings in std::iter::once(&self.cluster).chain(own) {
            for binding in bindings.of(user) {
                let Some(rules) = self.rules(&binding.role, &binding.namespace) else {
                    missing.push(binding.role.not_found());
                    continue;
                };
                if rules.iter().any(|rule| stop(binding, rule)) {
                    return missing;
                }
            }
        }
        missing
    }
}

impl Bindings {
    fn of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Arc<Binding>> {
        let by_user = self.users.get(&user.name).into_iter();
        let by_group = user
            .groups
            .iter()
            .filter_map(|group| self.groups.get(group));
        by_user.chain(by_group).flatten()
    }

    fn put(&mut self, binding: Binding) {
        self.remove(&binding.name);
        let binding = Arc::new(binding);
        self.by_name.insert(binding.name.clone(), binding.clone());
        for subject in &binding.subjects {
            let subjects = match subject.is_group {
                true => &mut self.groups,
                false => &mut self.users,
            };
            let bound = subjects.entry(subject.name.clone()).or_default();
            if !bound.iter().any(|b| b.name == binding.name) {
                bound.push(binding.clone());
            }
        }
    }

    fn remove(&mut self, name: &str) {
        let Some(binding) = self.by_name.remove(name) else {
            return;
        };
        for subject in &binding.subjects {
            let subjects = match subject.is_group {
                true => &mut self.groups,
                false => &mut self.users,
            };
            if let Some(bound) = subjects.get_mut(&subject.name) {
                bound.retain(|b| b.name != name);
                if bound.is_empty() {
                    subjects.remove(&subject.name);
                }
            }
        }
    }
}

impl Binding {
    fn read(object: &Value) -> Binding {
        let namespace = object.namespace();
        let subjects = object.items_at(&["subjects"]).iter();
        Binding {
            name: object.name().into(),
            namespace: namespace.into(),
            role: RoleRef::new(
                object.str_at(&["roleRef", "kind"]),
                object.str_at(&["roleRef", "name"]),
            ),
            subjects: subjects
                .filter_map(|s| Subject::read(s, namespace))
                .collect(),
        }
    }

    /// `ClusterRoleBinding "x" of ClusterRole "y" to User "z"`
    pub(super) fn shown(&self, user: &User) -> String {
        let subject = self.subjects.iter().find(|s| s.is(user));
        let subject = subject.map(|s| s.shown.as_str()).unwrap_or_default();
        let role = &self.role;
        let (kind, name) = match self.namespace.as_str() {
            "" => ("ClusterRoleBinding", self.name.clone()),
            namespace => ("RoleBinding", format!("{}/{namespace}", self.name)),
        };
        let name = meta::field::quote(&name);
        let of = meta::field::quote(&role.name);
        format!("{kind} {name} of {} {of} to {subject}", role.kind())
    }
}

impl RoleRef {
    pub(super) fn new(kind: &str, name: &str) -> Self {
        RoleRef {
            is_cluster: kind == "ClusterRole",
            name: name.into(),
        }
    }

    fn kind(&self) -> &'static str {
        match self.is_cluster {
            true => "ClusterRole",
            false => "Role",
        }
    }

    pub(super) fn not_found(&self) -> String {
        let kind = self.kind().to_lowercase();
        let name = meta::field::quote(&self.name);
        format!("{kind}.rbac.authorization.k8s.io {name} not found")
    }
}

impl Subject {
    fn read(subject: &Value, namespace: &str) -> Option<Subject> {
        let name = subject.str_at(&["name"]);
        let shown = |kind: &str, name: &str| format!("{kind} {}", meta::field::quote(name));
        let (is_group, name, shown) = match subject.str_at(&["kind"]) {
            "User" => (false, name.to_string(), shown("User", name)),
            "Group" => (true, name.to_string(), shown("Group", name)),
            "ServiceAccount" => {
                let of = match subject.str_at(&["namespace"]) {
                    "" => namespace,
                    of => of,
                };
                if of.is_empty() {
                    return None;
                }
                let user = format!("system:serviceaccount:{of}:{name}");
                (
                    false,
                    user,
                    shown("ServiceAccount", &format!("{name}/{of}")),
                )
            }
            _ => return None,
        };
        Some(Subject {
            is_group,
            name,
            shown,
        })
    }

    fn is(&self, user: &User) -> bool {
        match self.is_group {
            true => user.is_in(&self.name),
            false => user.name == self.name,
        }
    }
}
