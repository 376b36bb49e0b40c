//! Objects as the API server sends them, and what is seen in them.

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use super::*;

fn check_service(spec: Value, status: Value, expect: &Expect) {
    let object = json!({"metadata": {"name": "web"}, "spec": spec, "status": status});
    let object: ApiService = serde_json::from_value(object).unwrap();
    expect.assert_eq(&format!("{:?}", service(&object)));
}

#[test]
fn services() {
    check_service(
        json!({
            "clusterIP": "10.43.0.1", "clusterIPs": ["10.43.0.1", "fd00::1"],
            "type": "LoadBalancer", "externalIPs": ["198.51.100.7"],
            "loadBalancerSourceRanges": ["192.0.2.0/24", " 10.0.0.0/8"],
            "externalTrafficPolicy": "Local", "internalTrafficPolicy": "Cluster",
            "healthCheckNodePort": 31000, "sessionAffinity": "ClientIP",
            "ports": [
                {"name": "web", "port": 80, "targetPort": "http", "nodePort": 30080},
                {"name": "dns", "port": 53, "protocol": "UDP"},
            ],
        }),
        json!({"loadBalancer": {"ingress": [
            {"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "Proxy"}, {"hostname": "x"},
        ]}}),
        &expect![[
            r#"Some(Service { cluster_ips: [10.43.0.1, fd00::1], external_ips: [198.51.100.7], load_balancer_ips: [203.0.113.1], source_ranges: [Cidr { address: 192.0.2.0, bits: 24 }, Cidr { address: 10.0.0.0, bits: 8 }], ports: [ServicePort { name: "web", protocol: Tcp, port: 80, node_port: Some(30080) }, ServicePort { name: "dns", protocol: Udp, port: 53, node_port: None }], affinity_seconds: Some(10800), internal_local: false, external_local: true, health_check_port: Some(31000) })"#
        ]],
    );
    check_service(
        json!({
            "clusterIP": "10.43.0.1", "ports": [{"port": 1}],
            "type": "LoadBalancer", "healthCheckNodePort": 31000, "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
        }),
        json!({}),
        &expect![[
            r#"Some(Service { cluster_ips: [10.43.0.1], external_ips: [], load_balancer_ips: [], source_ranges: [], ports: [ServicePort { name: "", protocol: Tcp, port: 1, node_port: None }], affinity_seconds: Some(60), internal_local: false, external_local: false, health_check_port: None })"#
        ]],
    );
}

#[test]
fn services_that_nothing_follows_from() {
    for spec in [
        json!({"clusterIP": "None", "ports": [{"port": 80}]}),
        json!({"type": "ExternalName", "externalName": "example.org"}),
        json!({"clusterIP": "", "ports": [{"port": 80}]}),
    ] {
        check_service(spec, json!({}), &expect!["None"]);
    }
}

#[test]
fn slices() {
    let object = json!({
        "metadata": {"labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}, {"name": "none"}],
        "endpoints": [
            {"addresses": ["10.42.0.5"]},
            {"addresses": ["10.42.0.6"], "nodeName": "here", "conditions": {"ready": false}},
            {"addresses": ["10.42.0.7"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["10.42.0.8"], "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}},
        ],
    });
    let object: ApiSlice = serde_json::from_value(object).unwrap();
    expect![[r#"
        Some(
            (
                "web",
                EndpointSlice {
                    ports: [
                        SlicePort {
                            name: "",
                            protocol: Tcp,
                            port: 8080,
                        },
                    ],
                    endpoints: [
                        Endpoint {
                            addresses: [
                                10.42.0.5,
                            ],
                            node: None,
                            conditions: Conditions {
                                ready: true,
                                serving: true,
                                terminating: false,
                            },
                            zone_hints: [],
                            node_hints: [],
                        },
                        Endpoint {
                            addresses: [
                                10.42.0.6,
                            ],
                            node: Some(
                                "here",
                            ),
                            conditions: Conditions {
                                ready: false,
                                serving: false,
                                terminating: false,
                            },
                            zone_hints: [],
                            node_hints: [],
                        },
                        Endpoint {
                            addresses: [
                                10.42.0.7,
                            ],
                            node: None,
                            conditions: Conditions {
                                ready: false,
                                serving: true,
                                terminating: true,
                            },
                            zone_hints: [],
                            node_hints: [],
                        },
                        Endpoint {
                            addresses: [
                                10.42.0.8,
                            ],
                            node: None,
                            conditions: Conditions {
                                ready: true,
                                serving: true,
                                terminating: false,
                            },
                            zone_hints: [
                                "z",
                            ],
                            node_hints: [
                                "n",
                            ],
                        },
                    ],
                },
            ),
        )"#]]
    .assert_eq(&format!("{:#?}", endpoint_slice(&object)));
}

#[test]
fn slices_of_nobody_or_of_others() {
    for labels in [
        json!({}),
        json!({"kubernetes.io/service-name": "web", "service.kubernetes.io/headless": ""}),
        json!({"kubernetes.io/service-name": "web", "service.kubernetes.io/service-proxy-name": "x"}),
    ] {
        let object =
            json!({"metadata": {"labels": labels}, "addressType": "IPv4", "endpoints": []});
        let object: ApiSlice = serde_json::from_value(object).unwrap();
        assert_eq!(endpoint_slice(&object), None);
    }
}

#[test]
fn host_ports_of_pods() {
    let pod = |host_network: bool, phase: &str| -> Pod {
        let object = json!({
            "spec": {
                "hostNetwork": host_network,
                "initContainers": [
                    {"name": "once", "ports": [{"containerPort": 1, "hostPort": 1}]},
                    {"name": "side", "restartPolicy": "Always", "ports": [{"containerPort": 2, "hostPort": 2}]},
                ],
                "containers": [{"name": "web", "ports": [
                    {"containerPort": 80, "hostPort": 8080},
                    {"containerPort": 53, "hostPort": 53, "hostIP": "192.0.2.2", "protocol": "UDP"},
                    {"containerPort": 81},
                ]}],
            },
            "status": {"phase": phase, "podIP": "10.42.0.5", "podIPs": [{"ip": "10.42.0.5"}]},
        });
        serde_json::from_value(object).unwrap()
    };
    expect![[r#"
        [
            HostPort {
                host_ip: None,
                host_port: 8080,
                protocol: Tcp,
                pod_ip: 10.42.0.5,
                container_port: 80,
            },
            HostPort {
                host_ip: Some(
                    192.0.2.2,
                ),
                host_port: 53,
                protocol: Udp,
                pod_ip: 10.42.0.5,
                container_port: 53,
            },
            HostPort {
                host_ip: None,
                host_port: 2,
                protocol: Tcp,
                pod_ip: 10.42.0.5,
                container_port: 2,
            },
        ]"#]]
    .assert_eq(&format!("{:#?}", host_ports(&pod(false, "Running"))));
    assert_eq!(host_ports(&pod(true, "Running")), []);
    assert_eq!(host_ports(&pod(false, "Failed")), []);
}
