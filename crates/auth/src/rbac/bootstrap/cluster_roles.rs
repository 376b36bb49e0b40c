//! The cluster roles for people, nodes and components, and who has them
//! (bootstrappolicy/policy.go and its testdata).

use super::{CORE, EVENTS, Entry, READ, WRITE, named, rule, urls};

/// Name, the role that it aggregates to, rules.
type Role = (&'static str, &'static str, &'static [Entry]);

/// Name, the roles that it aggregates in the order of their names, and the
/// role that it aggregates to in turn.
pub(super) const AGGREGATES: [(&str, &[&str], &str); 3] = [
    (
        "admin",
        &[
            "system:aggregate-to-edit",
            "system:aggregate-to-view",
            "system:aggregate-to-admin",
        ],
        "",
    ),
    (
        "edit",
        &["system:aggregate-to-edit", "system:aggregate-to-view"],
        "admin",
    ),
    ("view", &["system:aggregate-to-view"], "edit"),
];

pub(super) const ROLES: &[Role] = &[
    ("cluster-admin", "", &[rule("*", "*", "*"), urls("*", "*")]),
    (
        "system:aggregate-to-admin",
        "admin",
        &[
            rule(
                "create",
                "authorization.k8s.io",
                "localsubjectaccessreviews",
            ),
            rule(
                "get,list,watch,create,update,patch,delete,deletecollection",
                "rbac.authorization.k8s.io",
                "roles,rolebindings",
            ),
        ],
    ),
    ("system:aggregate-to-edit", "edit", EDIT),
    ("system:aggregate-to-view", "view", VIEW),
    (
        "system:auth-delegator",
        "",
        &[
            rule("create", "authentication.k8s.io", "tokenreviews"),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
        ],
    ),
    (
        "system:basic-user",
        "",
        &[
            rule(
                "create",
                "authorization.k8s.io",
                "selfsubjectaccessreviews,selfsubjectrulesreviews",
            ),
            rule("create", "authentication.k8s.io", "selfsubjectreviews"),
        ],
    ),
    (
        "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
        "",
        &[rule(
            "create",
            "certificates.k8s.io",
            "certificatesigningrequests/nodeclient",
        )],
    ),
    (
        "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
        "",
        &[rule(
            "create",
            "certificates.k8s.io",
            "certificatesigningrequests/selfnodeclient",
        )],
    ),
    (
        "system:certificates.k8s.io:kube-apiserver-client-approver",
        "",
        &[named(
            "approve",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/kube-apiserver-client",
        )],
    ),
    (
        "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver",
        "",
        &[named(
            "approve",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/kube-apiserver-client-kubelet",
        )],
    ),
    (
        "system:certificates.k8s.io:kubelet-serving-approver",
        "",
        &[named(
            "approve",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/kubelet-serving",
        )],
    ),
    (
        "system:certificates.k8s.io:legacy-unknown-approver",
        "",
        &[named(
            "approve",
            "certificates.k8s.io",
            "signers",
            "kubernetes.io/legacy-unknown",
        )],
    ),
    (
        "system:discovery",
        "",
        &[urls(
            "get",
            "/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/",
        )],
    ),
    (
        "system:heapster",
        "",
        &[
            rule(READ, CORE, "events,pods,nodes,namespaces"),
            rule(READ, "extensions", "deployments"),
        ],
    ),
    (
        "system:kube-aggregator",
        "",
        &[rule(READ, CORE, "services,endpoints")],
    ),
    ("system:kube-controller-manager", "", CONTROLLER_MANAGER),
    (
        "system:kube-dns",
        "",
        &[rule("list,watch", CORE, "endpoints,services")],
    ),
    ("system:kube-scheduler", "", SCHEDULER),
    (
        "system:kubelet-api-admin",
        "",
        &[
            rule(READ, CORE, "nodes"),
            rule("proxy", CORE, "nodes"),
            rule(
                "*",
                CORE,
                "nodes/proxy,nodes/metrics,nodes/stats,nodes/log,nodes/healthz,nodes/pods,nodes/checkpoint,nodes/configz",
            ),
        ],
    ),
    (
        "system:monitoring",
        "",
        &[urls(
            "get",
            "/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*",
        )],
    ),
    ("system:node", "", NODE),
    (
        "system:node-bootstrapper",
        "",
        &[rule(
            "create,get,list,watch",
            "certificates.k8s.io",
            "certificatesigningrequests",
        )],
    ),
    (
        "system:node-problem-detector",
        "",
        &[
            rule("get", CORE, "nodes"),
            rule("patch", CORE, "nodes/status"),
            EVENTS,
        ],
    ),
    (
        "system:node-proxier",
        "",
        &[
            rule("list,watch", CORE, "services,endpoints"),
            rule(READ, CORE, "nodes"),
            EVENTS,
            rule("list,watch", "discovery.k8s.io", "endpointslices"),
            rule("list,watch", "networking.k8s.io", "servicecidrs"),
        ],
    ),
    (
        "system:persistent-volume-provisioner",
        "",
        &[
            rule("get,list,watch,create,delete", CORE, "persistentvolumes"),
            rule("get,list,watch,update", CORE, "persistentvolumeclaims"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("watch", CORE, "events"),
            EVENTS,
        ],
    ),
    (
        "system:public-info-viewer",
        "",
        &[urls("get", "/healthz,/livez,/readyz,/version,/version/")],
    ),
    (
        "system:service-account-issuer-discovery",
        "",
        &[urls(
            "get",
            "/.well-known/openid-configuration,/openid/v1/jwks",
        )],
    ),
    (
        "system:volume-scheduler",
        "",
        &[
            rule("get,list,watch,update,patch", CORE, "persistentvolumes"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule(
                "get,list,watch,update,patch",
                CORE,
                "persistentvolumeclaims",
            ),
        ],
    ),
];

const EDIT: &[Entry] = &[
    rule(
        READ,
        CORE,
        "pods/attach,pods/proxy,pods/exec,pods/portforward,secrets,services/proxy",
    ),
    rule("impersonate", CORE, "serviceaccounts"),
    rule(
        WRITE,
        CORE,
        "pods,pods/attach,pods/proxy,pods/exec,pods/portforward",
    ),
    rule("create", CORE, "pods/eviction"),
    rule(
        WRITE,
        CORE,
        "replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/proxy,persistentvolumeclaims,configmaps,secrets,events",
    ),
    rule("create", CORE, "serviceaccounts/token"),
    rule(
        WRITE,
        "apps",
        "statefulsets,statefulsets/scale,daemonsets,deployments,deployments/scale,deployments/rollback,replicasets,replicasets/scale",
    ),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "jobs,cronjobs"),
    rule(
        WRITE,
        "extensions",
        "daemonsets,deployments,deployments/scale,deployments/rollback,ingresses,replicasets,replicasets/scale,replicationcontrollers/scale,networkpolicies",
    ),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "networkpolicies,ingresses"),
    rule(
        "get,list,watch,create,update,patch,delete,deletecollection",
        "coordination.k8s.io",
        "leases",
    ),
    rule(
        WRITE,
        "resource.k8s.io",
        "resourceclaims,resourceclaimtemplates",
    ),
];

const VIEW: &[Entry] = &[
    rule(
        READ,
        CORE,
        "pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,configmaps",
    ),
    rule(
        READ,
        CORE,
        "limitranges,resourcequotas,bindings,events,pods/status,resourcequotas/status,namespaces/status,replicationcontrollers/status,pods/log",
    ),
    rule(READ, CORE, "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        "controllerrevisions,statefulsets,statefulsets/status,statefulsets/scale,daemonsets,daemonsets/status,deployments,deployments/status,deployments/scale,replicasets,replicasets/status,replicasets/scale",
    ),
    rule(
        READ,
        "autoscaling",
        "horizontalpodautoscalers,horizontalpodautoscalers/status",
    ),
    rule(READ, "batch", "jobs,cronjobs,cronjobs/status,jobs/status"),
    rule(
        READ,
        "extensions",
        "daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale,networkpolicies",
    ),
    rule(
        READ,
        "policy",
        "poddisruptionbudgets,poddisruptionbudgets/status",
    ),
    rule(
        READ,
        "networking.k8s.io",
        "networkpolicies,ingresses,ingresses/status",
    ),
    rule(
        READ,
        "resource.k8s.io",
        "resourceclaims,resourceclaims/status,resourceclaimtemplates",
    ),
];

const CONTROLLER_MANAGER: &[Entry] = &[
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    named(
        "get,update",
        "coordination.k8s.io",
        "leases",
        "kube-controller-manager",
    ),
    rule("create", CORE, "secrets,serviceaccounts"),
    rule("delete", CORE, "secrets"),
    rule("get", CORE, "namespaces,secrets,serviceaccounts,configmaps"),
    rule("update", CORE, "secrets,serviceaccounts"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    rule("list,watch", "*", "*"),
    rule("create", CORE, "serviceaccounts/token"),
];

const SCHEDULER: &[Entry] = &[
    EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    named(
        "get,list,watch,update",
        "coordination.k8s.io",
        "leases",
        "kube-scheduler",
    ),
    rule(READ, CORE, "nodes"),
    rule("get,list,watch,delete", CORE, "pods"),
    rule("create", CORE, "pods/binding,bindings"),
    rule("patch,update", CORE, "pods/status"),
    rule(READ, CORE, "services,replicationcontrollers"),
    rule(READ, "apps,extensions", "replicasets"),
    rule(READ, "apps", "statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, CORE, "persistentvolumeclaims,persistentvolumes"),
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    rule(READ, "storage.k8s.io", "csinodes"),
    rule(READ, CORE, "namespaces"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule(READ, "storage.k8s.io", "csistoragecapacities"),
    rule(READ, "storage.k8s.io", "volumeattachments"),
    rule(
        READ,
        "resource.k8s.io",
        "deviceclasses,resourceclaims,resourceslices",
    ),
    rule(
        "update,patch",
        "resource.k8s.io",
        "resourceclaims,resourceclaims/status",
    ),
];

/// Each kubelet's; the Node authoriser narrows much of it to the node's own.
pub(super) const NODE: &[Entry] = &[
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule(
        "create",
        "authorization.k8s.io",
        "subjectaccessreviews,localsubjectaccessreviews",
    ),
    rule(READ, CORE, "services"),
    rule("create,get,list,watch", CORE, "nodes"),
    rule("update,patch", CORE, "nodes/status"),
    rule("update,patch", CORE, "nodes"),
    rule("create,update,patch", CORE, "events"),
    rule(READ, CORE, "pods"),
    rule("create,delete", CORE, "pods"),
    rule("update,patch", CORE, "pods/status"),
    rule("create", CORE, "pods/eviction"),
    rule(READ, CORE, "secrets,configmaps"),
    rule("get", CORE, "persistentvolumeclaims,persistentvolumes"),
    rule("get", CORE, "endpoints"),
    rule(
        "create,get,list,watch",
        "certificates.k8s.io",
        "certificatesigningrequests",
    ),
    rule(
        "get,create,update,patch,delete",
        "coordination.k8s.io",
        "leases",
    ),
    rule("get", "storage.k8s.io", "volumeattachments"),
    rule("create", CORE, "serviceaccounts/token"),
    rule("get,update,patch", CORE, "persistentvolumeclaims/status"),
    rule(READ, "storage.k8s.io", "csidrivers"),
    rule(
        "get,create,update,patch,delete",
        "storage.k8s.io",
        "csinodes",
    ),
    rule(READ, "node.k8s.io", "runtimeclasses"),
    rule("get", "resource.k8s.io", "resourceclaims"),
    rule(
        "get,list,watch,create,update,patch,delete,deletecollection",
        "resource.k8s.io",
        "resourceslices",
    ),
];

/// Who has which role; bindings are named after their roles.
pub(super) const BINDINGS: &[(&str, &[&str])] = &[
    ("cluster-admin", &["g:system:masters"]),
    ("system:basic-user", &["g:system:authenticated"]),
    ("system:discovery", &["g:system:authenticated"]),
    (
        "system:kube-controller-manager",
        &["u:system:kube-controller-manager"],
    ),
    ("system:kube-dns", &["s:kube-system/kube-dns"]),
    ("system:kube-scheduler", &["u:system:kube-scheduler"]),
    ("system:monitoring", &["g:system:monitoring"]),
    // Kubelets go through the Node authoriser.
    ("system:node", &[]),
    ("system:node-proxier", &["u:system:kube-proxy"]),
    (
        "system:public-info-viewer",
        &["g:system:authenticated", "g:system:unauthenticated"],
    ),
    (
        "system:service-account-issuer-discovery",
        &["g:system:serviceaccounts"],
    ),
    ("system:volume-scheduler", &["u:system:kube-scheduler"]),
];
