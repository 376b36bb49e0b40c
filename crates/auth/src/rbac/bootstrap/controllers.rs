//! What each controller may do, under the service account in kube-system that
//! is named after it (bootstrappolicy/controller_policy.go).

use super::{CORE, EVENTS, Entry, READ, named, rule};

pub(super) const ROLES: &[(&str, &[Entry])] = &[
    (
        "attachdetach-controller",
        &[
            rule(
                "list,watch",
                CORE,
                "persistentvolumes,persistentvolumeclaims",
            ),
            rule(READ, CORE, "nodes"),
            rule("patch,update", CORE, "nodes/status"),
            rule("list,watch", CORE, "pods"),
            EVENTS,
            rule(
                "get,create,delete,list,watch",
                "storage.k8s.io",
                "volumeattachments",
            ),
            rule(READ, "storage.k8s.io", "csidrivers"),
            rule(READ, "storage.k8s.io", "csinodes"),
        ],
    ),
    (
        "certificate-controller",
        &[
            rule(
                "get,list,watch,delete",
                "certificates.k8s.io",
                "certificatesigningrequests",
            ),
            rule(
                "update",
                "certificates.k8s.io",
                "certificatesigningrequests/status,certificatesigningrequests/approval",
            ),
            named(
                "approve",
                "certificates.k8s.io",
                "signers",
                "kubernetes.io/kube-apiserver-client-kubelet",
            ),
            named(
                "sign",
                "certificates.k8s.io",
                "signers",
                "kubernetes.io/legacy-unknown,kubernetes.io/kube-apiserver-client,kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving",
            ),
            rule("create", "authorization.k8s.io", "subjectaccessreviews"),
            EVENTS,
        ],
    ),
    (
        "clusterrole-aggregation-controller",
        &[rule(
            "escalate,get,list,watch,update,patch",
            "rbac.authorization.k8s.io",
            "clusterroles",
        )],
    ),
    (
        "cronjob-controller",
        &[
            rule("get,list,watch,update", "batch", "cronjobs"),
            rule("get,list,watch,create,update,delete,patch", "batch", "jobs"),
            rule("update", "batch", "cronjobs/status"),
            rule("update", "batch", "cronjobs/finalizers"),
            rule("list,watch,delete", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "daemon-set-controller",
        &[
            rule(READ, "extensions,apps", "daemonsets"),
            rule("update", "extensions,apps", "daemonsets/status"),
            rule("update", "extensions,apps", "daemonsets/finalizers"),
            rule("list,watch", CORE, "nodes"),
            rule("list,watch,create,delete,patch", CORE, "pods"),
            rule("create", CORE, "pods/binding"),
            rule(
                "get,list,watch,create,delete,update,patch",
                "apps",
                "controllerrevisions",
            ),
            EVENTS,
        ],
    ),
    (
        "deployment-controller",
        &[
            rule("get,list,watch,update", "extensions,apps", "deployments"),
            rule("update", "extensions,apps", "deployments/status"),
            rule("update", "extensions,apps", "deployments/finalizers"),
            rule(
                "get,list,watch,create,update,patch,delete",
                "apps,extensions",
                "replicasets",
            ),
            rule("get,list,watch,update", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "disruption-controller",
        &[
            rule(READ, "extensions,apps", "deployments"),
            rule(READ, "apps,extensions", "replicasets"),
            rule(READ, CORE, "replicationcontrollers"),
            rule(READ, "policy", "poddisruptionbudgets"),
            rule(READ, "apps", "statefulsets"),
            rule("update", "policy", "poddisruptionbudgets/status"),
            rule("patch,update", CORE, "pods/status"),
            rule("get", "*", "*/scale"),
            EVENTS,
        ],
    ),
    (
        "endpoint-controller",
        &[
            rule(READ, CORE, "services,pods"),
            rule("get,list,watch,create,update,delete", CORE, "endpoints"),
            rule("create", CORE, "endpoints/restricted"),
            EVENTS,
        ],
    ),
    (
        "endpointslice-controller",
        &[
            rule(READ, CORE, "services,pods,nodes"),
            rule("update", CORE, "services/finalizers"),
            rule(
                "get,list,watch,create,update,delete",
                "discovery.k8s.io",
                "endpointslices",
            ),
            EVENTS,
        ],
    ),
    (
        "endpointslicemirroring-controller",
        &[
            rule(READ, CORE, "services,endpoints"),
            rule("update", CORE, "services/finalizers"),
            rule("update", CORE, "endpoints/finalizers"),
            rule(
                "get,list,watch,create,update,delete",
                "discovery.k8s.io",
                "endpointslices",
            ),
            EVENTS,
        ],
    ),
    (
        "ephemeral-volume-controller",
        &[
            rule(READ, CORE, "pods"),
            rule("update", CORE, "pods/finalizers"),
            rule("get,list,watch,create", CORE, "persistentvolumeclaims"),
            EVENTS,
        ],
    ),
    (
        "expand-controller",
        &[
            rule("get,list,watch,update,patch", CORE, "persistentvolumes"),
            rule("update,patch", CORE, "persistentvolumeclaims/status"),
            rule(READ, CORE, "persistentvolumeclaims"),
            EVENTS,
            rule("get", CORE, "services"),
        ],
    ),
    (
        "generic-garbage-collector",
        &[rule("get,list,watch,patch,update,delete", "*", "*"), EVENTS],
    ),
    (
        "horizontal-pod-autoscaler",
        &[
            rule(READ, "autoscaling", "horizontalpodautoscalers"),
            rule("update", "autoscaling", "horizontalpodautoscalers/status"),
            rule("get,update", "*", "*/scale"),
            rule("list,watch", CORE, "pods"),
            rule("list,watch", "metrics.k8s.io", "pods"),
            rule(READ, "custom.metrics.k8s.io", "*"),
            rule(READ, "external.metrics.k8s.io", "*"),
            EVENTS,
        ],
    ),
    (
        "job-controller",
        &[
            rule("get,list,watch,update,patch", "batch", "jobs"),
            rule("update", "batch", "jobs/status"),
            rule("update", "batch", "jobs/finalizers"),
            rule("list,watch,create,delete,patch", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "legacy-service-account-token-cleaner",
        &[
            named(
                "get",
                CORE,
                "configmaps",
                "kube-apiserver-legacy-service-account-token-tracking",
            ),
            rule("patch,delete", CORE, "secrets"),
        ],
    ),
    (
        "namespace-controller",
        &[
            rule("get,list,watch,delete", CORE, "namespaces"),
            rule("update", CORE, "namespaces/finalize,namespaces/status"),
            rule("get,list,watch,delete,deletecollection", "*", "*"),
        ],
    ),
    (
        "node-controller",
        &[
            rule("get,list,watch,update,delete,patch", CORE, "nodes"),
            rule("patch,update", CORE, "nodes/status"),
            rule("patch,update", CORE, "pods/status"),
            rule("list,watch,get,delete", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "persistent-volume-binder",
        &[
            rule(
                "get,list,watch,update,create,delete",
                CORE,
                "persistentvolumes",
            ),
            rule("update", CORE, "persistentvolumes/status"),
            rule("get,list,watch,update", CORE, "persistentvolumeclaims"),
            rule("update", CORE, "persistentvolumeclaims/status"),
            rule("list,watch,get,create,delete", CORE, "pods"),
            rule(READ, "storage.k8s.io", "storageclasses"),
            rule("list,watch", CORE, "nodes"),
            EVENTS,
            rule("watch", CORE, "events"),
            rule("get", CORE, "services"),
        ],
    ),
    (
        "pod-garbage-collector",
        &[
            rule("list,watch,delete", CORE, "pods"),
            rule(READ, CORE, "nodes"),
            rule("patch", CORE, "pods/status"),
        ],
    ),
    (
        "pv-protection-controller",
        &[
            rule("get,list,watch,update", CORE, "persistentvolumes"),
            EVENTS,
        ],
    ),
    (
        "pvc-protection-controller",
        &[
            rule("get,list,watch,update", CORE, "persistentvolumeclaims"),
            rule(READ, CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "replicaset-controller",
        &[
            rule("get,list,watch,update", "apps,extensions", "replicasets"),
            rule("update", "apps,extensions", "replicasets/status"),
            rule("update", "apps,extensions", "replicasets/finalizers"),
            rule("list,watch,patch,create,delete", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "replication-controller",
        &[
            rule("get,list,watch,update", CORE, "replicationcontrollers"),
            rule("update", CORE, "replicationcontrollers/status"),
            rule("update", CORE, "replicationcontrollers/finalizers"),
            rule("list,watch,patch,create,delete", CORE, "pods"),
            EVENTS,
        ],
    ),
    (
        "resource-claim-controller",
        &[
            rule(READ, CORE, "pods"),
            rule("update", CORE, "pods/finalizers"),
            rule(
                "get,list,watch,create,delete",
                "resource.k8s.io",
                "resourceclaims",
            ),
            rule(
                "update,patch",
                "resource.k8s.io",
                "resourceclaims,resourceclaims/status",
            ),
            rule("update,patch", CORE, "pods/status"),
            EVENTS,
        ],
    ),
    (
        "resourcequota-controller",
        &[
            rule("list,watch", "*", "*"),
            rule("update", CORE, "resourcequotas/status"),
            EVENTS,
        ],
    ),
    (
        "root-ca-cert-publisher",
        &[rule("create,update", CORE, "configmaps"), EVENTS],
    ),
    (
        "route-controller",
        &[
            rule("list,watch", CORE, "nodes"),
            rule("patch", CORE, "nodes/status"),
            EVENTS,
        ],
    ),
    (
        "selinux-warning-controller",
        &[
            EVENTS,
            rule(READ, CORE, "persistentvolumes"),
            rule(READ, CORE, "persistentvolumeclaims"),
            rule(READ, CORE, "pods"),
            rule(READ, "storage.k8s.io", "csidrivers"),
        ],
    ),
    (
        "service-account-controller",
        &[rule("create", CORE, "serviceaccounts"), EVENTS],
    ),
    (
        "service-cidrs-controller",
        &[
            rule(
                "get,list,watch,patch,update",
                "networking.k8s.io",
                "servicecidrs",
            ),
            rule(
                "patch,update",
                "networking.k8s.io",
                "servicecidrs/finalizers",
            ),
            rule("patch,update", "networking.k8s.io", "servicecidrs/status"),
            rule(READ, "networking.k8s.io", "ipaddresses"),
            EVENTS,
        ],
    ),
    (
        "service-controller",
        &[
            rule(READ, CORE, "services"),
            rule("patch,update", CORE, "services/status"),
            rule("list,watch", CORE, "nodes"),
            EVENTS,
        ],
    ),
    (
        "statefulset-controller",
        &[
            rule("list,watch", CORE, "pods"),
            rule(READ, "apps", "statefulsets"),
            rule("update", "apps", "statefulsets/status"),
            rule("update", "apps", "statefulsets/finalizers"),
            rule("get,create,delete,update,patch", CORE, "pods"),
            rule(
                "get,create,delete,update,patch,list,watch",
                "apps",
                "controllerrevisions",
            ),
            rule("get,create,list,watch", CORE, "persistentvolumeclaims"),
            rule("update,delete", CORE, "persistentvolumeclaims"),
            rule("update", CORE, "pods/finalizers"),
            EVENTS,
        ],
    ),
    (
        "ttl-after-finished-controller",
        &[rule("get,list,watch,delete", "batch", "jobs"), EVENTS],
    ),
    (
        "ttl-controller",
        &[rule("update,patch,list,watch", CORE, "nodes"), EVENTS],
    ),
    (
        "validatingadmissionpolicy-status-controller",
        &[
            rule(
                READ,
                "admissionregistration.k8s.io",
                "validatingadmissionpolicies",
            ),
            rule(
                "get,patch,update",
                "admissionregistration.k8s.io",
                "validatingadmissionpolicies/status",
            ),
            EVENTS,
        ],
    ),
    (
        "volumeattributesclass-protection-controller",
        &[
            rule(READ, CORE, "persistentvolumeclaims"),
            rule(READ, CORE, "persistentvolumes"),
            rule(
                "get,list,watch,update",
                "storage.k8s.io",
                "volumeattributesclasses",
            ),
            EVENTS,
        ],
    ),
];
