//! Who makes a request, as authenticators tell it and authorisers, admission
//! and audit read it.

use std::collections::BTreeMap;

/// Somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The name: `system:admin`, `system:serviceaccount:default:default`, …
    pub name: String,
    /// The uid, when whoever vouches for the user gives one.
    pub uid: String,
    /// The groups.
    pub groups: Vec<String>,
    /// What else is known: pod, node and credential of a service account.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who did not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// Those who may do everything.
pub const MASTERS: &str = "system:masters";
/// The kubelets.
pub const NODES: &str = "system:nodes";
/// The name of somebody who did not say who they are.
pub const ANONYMOUS: &str = "system:anonymous";

/// The extra that names the credential by which a user came.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// The extra that names the pod a token was made for.
pub const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
/// That pod's uid.
pub const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
/// The extra that names the node of that pod.
pub const NODE_NAME: &str = "authentication.kubernetes.io/node-name";
/// That node's uid.
pub const NODE_UID: &str = "authentication.kubernetes.io/node-uid";

impl User {
    /// Somebody with a name and groups.
    pub fn new(name: impl Into<String>, groups: &[&str]) -> Self {
        User {
            name: name.into(),
            groups: groups.iter().map(ToString::to_string).collect(),
            ..User::default()
        }
    }

    /// Nobody in particular.
    pub fn anonymous() -> Self {
        User::new(ANONYMOUS, &[UNAUTHENTICATED])
    }

    /// A service account.
    pub fn service_account(namespace: &str, name: &str) -> Self {
        let all = format!("system:serviceaccounts:{namespace}");
        User::new(
            format!("system:serviceaccount:{namespace}:{name}"),
            &["system:serviceaccounts", &all, AUTHENTICATED],
        )
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// Namespace and name, when the user is a service account.
    pub fn as_service_account(&self) -> Option<(&str, &str)> {
        self.name
            .strip_prefix("system:serviceaccount:")?
            .split_once(':')
    }

    /// The node's name, when the user is a kubelet.
    pub fn as_node(&self) -> Option<&str> {
        self.name
            .strip_prefix("system:node:")
            .filter(|_| self.is_in(NODES))
    }
}
