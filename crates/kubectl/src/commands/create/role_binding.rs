//! `create rolebinding` and `create clusterrolebinding`.

use super::Common;
use crate::error::{Result, said};
use meta::{Value, value};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Who is bound.
#[derive(clap::Args, Debug)]
pub(super) struct Subjects {
    /// Usernames to bind to the role.
    #[arg(long)]
    user: Vec<String>,
    /// Groups to bind to the role.
    #[arg(long)]
    group: Vec<String>,
    /// Service accounts to bind to the role, in the format <namespace>:<name>.
    #[arg(long)]
    serviceaccount: Vec<String>,
}

/// The arguments of `create rolebinding`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    name: String,
    /// ClusterRole this RoleBinding should reference.
    #[arg(long)]
    clusterrole: Option<String>,
    /// Role this RoleBinding should reference.
    #[arg(long)]
    role: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    pub(super) common: Common,
}

/// The arguments of `create clusterrolebinding`.
#[derive(clap::Args, Debug)]
pub(super) struct ClusterArgs {
    name: String,
    /// ClusterRole this ClusterRoleBinding should reference.
    #[arg(long)]
    clusterrole: String,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Args {
    pub(super) fn object(&self) -> Result<Value> {
        let (kind, role) = match (&self.clusterrole, &self.role) {
            (Some(role), None) => ("ClusterRole", role),
            (None, Some(role)) => ("Role", role),
            _ => return said("exactly one of clusterrole or role must be specified"),
        };
        binding("RoleBinding", &self.name, kind, role, &self.subjects)
    }
}

impl ClusterArgs {
    pub(super) fn object(&self) -> Result<Value> {
        binding(
            "ClusterRoleBinding",
            &self.name,
            "ClusterRole",
            &self.clusterrole,
            &self.subjects,
        )
    }
}

fn binding(
    kind: &str,
    name: &str,
    role_kind: &str,
    role: &str,
    subjects: &Subjects,
) -> Result<Value> {
    let mut list = Vec::new();
    for (kind, names) in [("User", &subjects.user), ("Group", &subjects.group)] {
        list.extend(
            names
                .iter()
                .map(|name| value!({"apiGroup": (GROUP), "kind": (kind), "name": (name.as_str())})),
        );
    }
    for pair in &subjects.serviceaccount {
        match pair
            .split_once(':')
            .filter(|(ns, name)| !ns.is_empty() && !name.is_empty())
        {
            Some((namespace, name)) => list.push(value!({
                "kind": "ServiceAccount", "name": (name), "namespace": (namespace)
            })),
            None => return said("serviceaccount must be <namespace>:<name>"),
        }
    }
    let mut binding = value!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": (kind),
        "metadata": {"name": (name), "creationTimestamp": null},
        "roleRef": {"apiGroup": (GROUP), "kind": (role_kind), "name": (role)}
    });
    if !list.is_empty() {
        binding.set_at(&["subjects"], list);
    }
    Ok(binding)
}
