//! What a pod's spec may hold.

use super::{check, pod, pod_with};
use crate::core::pod::Pod;
use crate::kind::Kind;
use meta::value;

#[test]
fn containers_are_wanted_and_named() {
    check(pod(value!({})), &[]);
    check(
        pod(value!({"containers": []})),
        &["spec.containers: Required value"],
    );
    check(
        pod(
            value!({"containers": [{"image": " i"}, {"name": "A", "image": "i"}, {"name": "b"}, {"name": "b", "image": "i"}]}),
        ),
        &[
            "spec.containers[0].name: Required value",
            "spec.containers[1].name: Invalid value: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "spec.containers[2].image: Required value",
            "spec.containers[3].name: Duplicate value: \"b\"",
            "spec.containers[0].image: Invalid value: \" i\": must not have leading or trailing whitespace",
        ],
    );
}

#[test]
fn policies_are_known_ones() {
    check(
        pod(value!({"restartPolicy": "Sometimes", "dnsPolicy": "Mine"})),
        &[
            "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", \"Never\"",
            "spec.dnsPolicy: Unsupported value: \"Mine\": supported values: \"ClusterFirstWithHostNet\", \"ClusterFirst\", \"Default\", \"None\"",
        ],
    );
    check(
        pod(value!({"dnsPolicy": "None"})),
        &["spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"],
    );
}

#[test]
fn ports_are_in_range_and_once_on_the_host() {
    check(
        pod_with(value!({"ports": [
            {"containerPort": 0}, {"containerPort": 70000, "name": "80"},
            {"containerPort": 1, "hostPort": 9}, {"containerPort": 2, "hostPort": 9, "protocol": "X"},
            {"containerPort": 3, "hostPort": 9}
        ]})),
        &[
            "spec.containers[0].ports[0].containerPort: Required value",
            "spec.containers[0].ports[1].name: Invalid value: \"80\": must contain at least one letter (a-z)",
            "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
            "spec.containers[0].ports[3].protocol: Unsupported value: \"X\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            "spec.containers[0].ports[4].hostPort: Duplicate value: \"TCP//9\"",
        ],
    );
    let mut pod = pod(value!({"hostNetwork": true, "containers": [
        {"name": "c", "image": "i:1", "ports": [{"containerPort": 80, "hostPort": 81}]}
    ]}));
    Pod.prepare_create(&mut pod);
    check(
        pod,
        &[
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        ],
    );
}

#[test]
fn variables_have_one_source() {
    check(
        pod_with(value!({"env": [
            {"name": ""}, {"name": "a=b"}, {"name": "OK", "value": "x"},
            {"name": "A", "valueFrom": {}},
            {"name": "B", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels"}}},
            {"name": "D", "valueFrom": {"fieldRef": {"fieldPath": "spec.volumes"}}},
            {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a b']"}}},
            {"name": "F", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "3"}}},
            {"name": "G", "valueFrom": {"secretKeyRef": {"name": "s", "key": ""}}}
        ], "envFrom": [{"prefix": "x="}, {"configMapRef": {"name": "A"}}]})),
        &[
            "spec.containers[0].env[0].name: Required value",
            "spec.containers[0].env[1].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable ASCII characters other than '=' (regex used for validation is '^[ -<>-~]+$')",
            "spec.containers[0].env[3].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
            "spec.containers[0].env[4].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty",
            "spec.containers[0].env[5].valueFrom.fieldRef.fieldPath: Unsupported value: \"metadata.labels\": supported values: \"metadata.name\", \"metadata.namespace\", \"metadata.uid\", \"spec.nodeName\", \"spec.serviceAccountName\", \"status.hostIP\", \"status.hostIPs\", \"status.podIP\", \"status.podIPs\"",
            "spec.containers[0].env[6].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.volumes\": error converting fieldPath: field label not supported: spec.volumes",
            "spec.containers[0].env[7].valueFrom.fieldRef: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.containers[0].env[8].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
            "spec.containers[0].env[9].valueFrom.secretKeyRef.key: Required value",
            "spec.containers[0].envFrom[0].prefix: Invalid value: \"x=\": a valid environment variable name must consist only of printable ASCII characters other than '=' (regex used for validation is '^[ -<>-~]+$')",
            "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`",
            "spec.containers[0].envFrom[1].configMapRef.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
}

#[test]
fn volumes_are_of_one_served_type() {
    check(
        pod(value!({"volumes": [
            {"name": "a", "emptyDir": {}, "hostPath": {"path": "/x"}},
            {"name": "b", "hostPath": {"path": "/x/../y", "type": "Nothing"}},
            {"name": "c", "persistentVolumeClaim": {"claimName": "x"}},
            {"name": "d", "secret": {"defaultMode": 1000, "items": [{"key": "k", "path": "/p"}, {"path": "..p"}]}},
            {"name": "e"}, {"name": "e"}, {"emptyDir": {}},
            {"name": "f", "projected": {"sources": [
                {"secret": {"name": "s", "items": [{"key": "a", "path": "p"}]}},
                {"configMap": {"name": "m", "items": [{"key": "a", "path": "p"}]}},
                {"serviceAccountToken": {"path": "/t", "expirationSeconds": 5}}
            ]}},
            {"name": "g", "image": {"pullPolicy": "Sometimes"}}
        ], "serviceAccountName": "sa"})),
        &[
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
            "spec.volumes[1].hostPath.path: Invalid value: \"/x/../y\": must not contain '..'",
            "spec.volumes[1].hostPath.type: Unsupported value: \"Nothing\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
            "spec.volumes[2].persistentVolumeClaim: Forbidden: volume type persistentVolumeClaim is not supported yet",
            "spec.volumes[3].secret.secretName: Required value",
            "spec.volumes[3].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
            "spec.volumes[3].secret.items[0].path: Invalid value: \"/p\": must be a relative path",
            "spec.volumes[3].secret.items[1].key: Required value",
            "spec.volumes[3].secret.items[1].path: Invalid value: \"..p\": must not start with '..'",
            "spec.volumes[5].name: Duplicate value: \"e\"",
            "spec.volumes[6].name: Required value",
            "spec.volumes[7].projected: Invalid value: \"m\": conflicting duplicate paths",
            "spec.volumes[7].projected.sources[2].serviceAccountToken.expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes",
            "spec.volumes[7].projected.path: Invalid value: \"/t\": must be a relative path",
            "spec.volumes[8].image.pullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
            "spec.volumes[8].image.reference: Required value",
        ],
    );
}

#[test]
fn mounts_need_their_volume() {
    check(
        pod(value!({
            "volumes": [{"name": "v"}],
            "containers": [{"name": "c", "image": "i:1", "volumeMounts": [
                {"name": "v", "mountPath": "/a"}, {"name": "v", "mountPath": "/a"},
                {"name": "w"}, {"name": "v", "mountPath": "/b", "subPath": "/x"},
                {"name": "v", "mountPath": "/c", "mountPropagation": "Bidirectional"},
                {"name": "v", "mountPath": "/d", "recursiveReadOnly": "Enabled"}
            ]}]
        })),
        &[
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/a\": must be unique",
            "spec.containers[0].volumeMounts[2].name: Not found: \"w\"",
            "spec.containers[0].volumeMounts[2].mountPath: Required value",
            "spec.containers[0].volumeMounts.subPath: Invalid value: \"/x\": must be a relative path",
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
            "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
        ],
    );
}

#[test]
fn probes_and_hooks_have_one_handler() {
    check(
        pod_with(value!({
            "livenessProbe": {"successThreshold": 2, "exec": {"command": ["x"]}},
            "readinessProbe": {"httpGet": {"port": 0}, "tcpSocket": {"port": "x"}, "terminationGracePeriodSeconds": 1},
            "startupProbe": {"grpc": {"port": 99999}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 31}}, "postStart": {}, "stopSignal": "SIGTERM"}
        })),
        &[
            "spec.containers[0].lifecycle.postStart: Required value: must specify a handler type",
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
            "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`",
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
            "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
            "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
            "spec.containers[0].startupProbe.grpc.port: Invalid value: 99999: must be between 1 and 65535, inclusive",
        ],
    );
}

#[test]
fn init_containers_are_watched_only_as_sidecars() {
    check(
        pod(value!({"initContainers": [
            {"name": "a", "image": "i:1", "livenessProbe": {"exec": {"command": ["x"]}}},
            {"name": "b", "image": "i:1", "restartPolicy": "Always", "livenessProbe": {"exec": {"command": ["x"]}}},
            {"name": "c", "image": "i:1", "restartPolicy": "Now"}
        ]})),
        &[
            "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
            "spec.initContainers[2].restartPolicy: Unsupported value: \"Now\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            "spec.initContainers[2].name: Duplicate value: \"c\"",
        ],
    );
}

#[test]
fn resources_are_known_and_not_more_than_their_limits() {
    check(
        pod_with(value!({"resources": {
            "limits": {"cpu": "1", "gpu": "1", "e.com/gpu": "2", "memory": "-1"},
            "requests": {"cpu": "2", "e.com/gpu": "1", "e.com/fpga": "1.5", "gpu": "1", "memory": "-1"}
        }})),
        &[
            "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
            "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            "spec.containers[0].resources.limits[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
            "spec.containers[0].resources.requests[e.com/fpga]: Invalid value: \"1.5\": must be an integer",
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
            "spec.containers[0].resources.requests: Invalid value: \"1\": must be equal to e.com/gpu limit of 2",
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource type or fully qualified",
            "spec.containers[0].resources.requests[gpu]: Invalid value: \"gpu\": must be a standard resource for containers",
            "spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or equal to 0",
        ],
    );
}

#[test]
fn security_contexts_are_looked_at() {
    check(
        pod(value!({
            "hostNetwork": true, "hostPID": true, "shareProcessNamespace": true, "hostUsers": false,
            "securityContext": {
                "runAsUser": -1, "fsGroupChangePolicy": "x", "seccompProfile": {"type": "Localhost"},
                "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}, {"name": "X", "value": ""}],
                "seLinuxOptions": {"level": "s0"}
            },
            "containers": [{"name": "c", "image": "i:1", "securityContext": {
                "privileged": true, "allowPrivilegeEscalation": false, "appArmorProfile": {"type": "RuntimeDefault"}
            }}]
        })),
        &[
            "spec.containers[0].securityContext: Invalid value: {\"allowPrivilegeEscalation\":false,\"appArmorProfile\":{\"type\":\"RuntimeDefault\"},\"privileged\":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            "spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.ipv4.ip_forward\": may not be specified when 'hostNetwork' is true",
            r#"spec.securityContext.sysctls[1].name: Invalid value: "X": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"#,
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"x\": supported values: \"Always\", \"OnRootMismatch\"",
            "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
            "spec.securityContext.seLinuxOptions: Forbidden: seLinuxOptions is not supported yet",
            "spec.hostUsers: Forbidden: hostUsers: false is not supported yet",
        ],
    );
}

#[test]
fn affinity_tolerations_and_spread_are_looked_at() {
    check(
        pod(value!({
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                    {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "b", "operator": "Is", "values": ["x"]}]},
                    {"matchFields": [{"key": "metadata.uid", "operator": "In", "values": ["x"]}]}
                ]}},
                "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
                    {"weight": 0, "podAffinityTerm": {"labelSelector": {}}}
                ]}
            },
            "tolerations": [{"operator": "Equal"}, {"key": "a", "operator": "Exists", "value": "x"}, {"key": "b", "tolerationSeconds": 1, "effect": "NoSchedule"}],
            "topologySpreadConstraints": [
                {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"},
                {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "minDomains": 0}
            ]
        })),
        &[
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[1].operator: Invalid value: \"Is\": not a valid selector operator",
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[1].matchFields[0].key: Invalid value: \"metadata.uid\": not a valid field selector key",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 0: must be in the range 1-100",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Required value: can not be empty",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Invalid value: \"\": name part must be non-empty",
            "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
            "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{z, DoNotSchedule}\"",
            "spec.topologySpreadConstraints[1].minDomains: Invalid value: 0: must be greater than zero",
            "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            "spec.tolerations[1].operator: Invalid value: \"x\": value must be empty when `operator` is 'Exists'",
            "spec.tolerations[2].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
        ],
    );
}
