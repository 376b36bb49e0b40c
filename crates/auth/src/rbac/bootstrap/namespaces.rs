//! Roles and bindings in the namespaces of the system
//! (bootstrappolicy/namespace_policy.go).

use super::{CORE, EVENTS, Entry, READ, named, rule};

const PUBLIC: &str = "kube-public";
const SYSTEM: &str = "kube-system";
const LEASES: &[Entry] = &[
    rule(
        "get,watch,list,create,update",
        "coordination.k8s.io",
        "leases",
    ),
    rule(
        "get,watch,list,create,update",
        "coordination.k8s.io",
        "leasecandidates",
    ),
];

/// Namespace, name, rules.
pub(super) const ROLES: &[(&str, &str, &[Entry])] = &[
    (
        PUBLIC,
        "system:controller:bootstrap-signer",
        &[
            rule(READ, CORE, "configmaps"),
            named("update", CORE, "configmaps", "cluster-info"),
            EVENTS,
        ],
    ),
    (
        SYSTEM,
        "extension-apiserver-authentication-reader",
        &[named(
            READ,
            CORE,
            "configmaps",
            "extension-apiserver-authentication",
        )],
    ),
    (
        SYSTEM,
        "system::leader-locking-kube-controller-manager",
        LEASES,
    ),
    (SYSTEM, "system::leader-locking-kube-scheduler", LEASES),
    (
        SYSTEM,
        "system:controller:bootstrap-signer",
        &[rule(READ, CORE, "secrets")],
    ),
    (
        SYSTEM,
        "system:controller:cloud-provider",
        &[rule("create,get,list,watch", CORE, "configmaps")],
    ),
    (
        SYSTEM,
        "system:controller:token-cleaner",
        &[rule("get,list,watch,delete", CORE, "secrets"), EVENTS],
    ),
];

/// Namespace, name, role, subjects.
pub(super) const BINDINGS: &[(&str, &str, &str, &[&str])] = &[
    (
        PUBLIC,
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &["s:kube-system/bootstrap-signer"],
    ),
    (
        SYSTEM,
        "system::extension-apiserver-authentication-reader",
        "extension-apiserver-authentication-reader",
        &[
            "u:system:kube-controller-manager",
            "u:system:kube-scheduler",
        ],
    ),
    (
        SYSTEM,
        "system::leader-locking-kube-controller-manager",
        "system::leader-locking-kube-controller-manager",
        &[
            "u:system:kube-controller-manager",
            "s:kube-system/kube-controller-manager",
        ],
    ),
    (
        SYSTEM,
        "system::leader-locking-kube-scheduler",
        "system::leader-locking-kube-scheduler",
        &["u:system:kube-scheduler", "s:kube-system/kube-scheduler"],
    ),
    (
        SYSTEM,
        "system:controller:bootstrap-signer",
        "system:controller:bootstrap-signer",
        &["s:kube-system/bootstrap-signer"],
    ),
    (
        SYSTEM,
        "system:controller:cloud-provider",
        "system:controller:cloud-provider",
        &["s:kube-system/cloud-provider"],
    ),
    (
        SYSTEM,
        "system:controller:token-cleaner",
        "system:controller:token-cleaner",
        &["s:kube-system/token-cleaner"],
    ),
];
