//! Pods that use much of what there is, and are all well.

use crate::core::pod::{Pod, template};
use crate::kind::{Door, Kind};
use meta::{Errors, Field, Value, value};

fn rich() -> Value {
    value!({
        "metadata": {"name": "web", "namespace": "d", "labels": {"app": "web"}},
        "spec": {
            "serviceAccountName": "web", "automountServiceAccountToken": false,
            "hostname": "web", "subdomain": "sub", "setHostnameAsFQDN": false,
            "nodeSelector": {"kubernetes.io/os": "linux"}, "priorityClassName": "high", "priority": 5,
            "runtimeClassName": "plain", "preemptionPolicy": "Never", "overhead": {"cpu": "10m"},
            "os": {"name": "linux"}, "shareProcessNamespace": true, "hostUsers": true,
            "activeDeadlineSeconds": 100, "terminationGracePeriodSeconds": 0,
            "dnsPolicy": "None",
            "dnsConfig": {"nameservers": ["10.0.0.10"], "searches": ["svc.cluster.local", "_x.e.com."], "options": [{"name": "ndots", "value": "5"}]},
            "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.b"]}],
            "imagePullSecrets": [{"name": "pull"}],
            "readinessGates": [{"conditionType": "e.com/ready"}],
            "schedulingGates": [{"name": "e.com/gate"}],
            "tolerations": [
                {"operator": "Exists"}, {"key": "a", "value": "b", "effect": "NoSchedule"},
                {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
            ],
            "topologySpreadConstraints": [
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 2, "labelSelector": {"matchLabels": {"app": "web"}}, "nodeTaintsPolicy": "Honor"},
                {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {}, "matchLabelKeys": ["app"]}
            ],
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                        {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}, {"key": "c", "operator": "Gt", "values": ["5"]}]},
                        {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}
                    ]},
                    "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {"matchExpressions": [{"key": "d", "operator": "Exists"}]}}]
                },
                "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, "mismatchLabelKeys": ["app"]}
                ]}
            },
            "securityContext": {
                "runAsUser": 1000, "runAsGroup": 1000, "runAsNonRoot": true, "fsGroup": 2000, "supplementalGroups": [3000],
                "fsGroupChangePolicy": "OnRootMismatch", "supplementalGroupsPolicy": "Merge",
                "seccompProfile": {"type": "RuntimeDefault"}, "appArmorProfile": {"type": "Unconfined"},
                "sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}], "seLinuxOptions": {}
            },
            "volumes": [
                {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
                {"name": "host", "hostPath": {"path": "/var/log", "type": "Directory"}},
                {"name": "conf", "configMap": {"name": "conf", "optional": true, "items": [{"key": "a", "path": "b/c", "mode": 256}]}},
                {"name": "cert", "secret": {"secretName": "cert", "defaultMode": 256}},
                {"name": "info", "downwardAPI": {"items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {"path": "cpu", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu", "divisor": "1m"}}
                ]}},
                {"name": "token", "projected": {"sources": [
                    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                    {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}}
                ]}}
            ],
            "initContainers": [
                {"name": "once", "image": "busybox:1", "command": ["true"]},
                {"name": "side", "image": "busybox:1", "restartPolicy": "Always", "startupProbe": {"exec": {"command": ["true"]}}, "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}
            ],
            "containers": [{
                "name": "web", "image": "registry:5000/web@sha256:0123", "workingDir": "/", "stdin": true, "tty": true,
                "ports": [{"containerPort": 80, "name": "http"}, {"containerPort": 53, "protocol": "UDP", "hostPort": 53}, {"containerPort": 53, "hostPort": 53}],
                "env": [
                    {"name": "A", "value": ""}, {"name": "a.b-c", "value": "$(A)"},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                    {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory", "divisor": "1Mi"}}},
                    {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": true}}}
                ],
                "envFrom": [{"configMapRef": {"name": "conf"}}, {"prefix": "P_", "secretRef": {"name": "s"}}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi", "e.com/gpu": "1"}, "requests": {"cpu": "100m", "ephemeral-storage": "1Gi"}},
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/tmp"}, {"name": "conf", "mountPath": "/etc/conf", "subPath": "b/c", "readOnly": true},
                    {"name": "host", "mountPath": "/host", "mountPropagation": "HostToContainer", "readOnly": true},
                    {"name": "cert", "mountPath": "/cert", "readOnly": true, "recursiveReadOnly": "IfPossible"},
                    {"name": "info", "mountPath": "/info", "subPathExpr": "$(A)"}, {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
                ],
                "livenessProbe": {"httpGet": {"port": "http", "httpHeaders": [{"name": "X-A", "value": "b"}]}, "terminationGracePeriodSeconds": 1},
                "readinessProbe": {"tcpSocket": {"port": 80}, "successThreshold": 2}, "startupProbe": {"grpc": {"port": 80}},
                "lifecycle": {"postStart": {"exec": {"command": ["true"]}}, "preStop": {"sleep": {"seconds": 0}}, "stopSignal": "SIGRTMIN+3"},
                "securityContext": {
                    "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}, "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true, "procMount": "Default", "seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}
                }
            }, {
                "name": "other", "image": "i:1", "restartPolicy": "Never",
                "restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
            }]
        }
    })
}

#[test]
fn a_rich_pod_is_well() {
    let mut pod = rich();
    Pod.default(&mut pod);
    Pod.prepare_create(&mut pod);
    let mut errors = Errors::new();
    Pod.validate(&Field::root(&pod), &mut errors);
    assert!(errors.is_empty(), "{}", errors.aggregate());
    // The same port over two protocols is one warning less than it could be.
    assert_eq!(Pod.warnings(&pod, None), Vec::<String>::new());

    let mut same = rich();
    for key in ["affinity", "topologySpreadConstraints"] {
        same.set_at(&["spec", key], pod.at(&["spec", key]).cloned());
    }
    Pod.default(&mut same);
    Pod.prepare_update(&mut same, &pod, Door::Main);
    let mut errors = Errors::new();
    Pod.validate_update(
        &Field::root(&same),
        &Field::root(&pod),
        Door::Main,
        &mut errors,
    );
    assert!(errors.is_empty(), "{}", errors.aggregate());
}

#[test]
fn a_rich_template_is_well() {
    let mut pod = rich();
    let spec = pod.make_object().entry("spec");
    spec.make_object().remove("activeDeadlineSeconds");
    let mut template = value!({"metadata": {"labels": {"app": "web"}}});
    template.set_at(&["spec"], spec.clone());
    template::default(&mut template);
    let mut errors = Errors::new();
    let labels = value!({"app": "web"});
    let selector = meta::LabelSelector::from_map(&labels);
    template::validate_lasting(
        &Field::root(&template),
        &selector,
        "ReplicaSet",
        Default::default(),
        &mut errors,
    );
    assert!(errors.is_empty(), "{}", errors.aggregate());
}
