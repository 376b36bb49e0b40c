//! Cases of Service.

use super::Service;
use crate::kind::{Door, Kind};
use crate::testing::{check_columns, check_default, check_valid};
use meta::{Errors, Field, Value, value};

fn service(spec: Value) -> Value {
    let mut object = value!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    for (key, value) in spec.as_object().expect("an object").iter() {
        object.set_at(&["spec", key], value.clone());
    }
    Service.default(&mut object);
    Service.prepare_create(&mut object);
    object
}

#[track_caller]
fn check_change(old: &Value, mut new: Value, expected: &[&str]) -> Value {
    Service.default(&mut new);
    Service.prepare_update(&mut new, old, Door::Main);
    let mut errors = Errors::new();
    let (field, before) = (Field::root(&new), Field::root(old));
    Service.validate_update(&field, &before, Door::Main, &mut errors);
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
    new
}

#[test]
fn a_plain_service_is_filled_in() {
    check_default(
        &Service,
        value!({"spec": {"ports": [{"port": 80}]}}),
        value!({"spec": {
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster"
        }}),
    );
    check_default(
        &Service,
        value!({"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP", "ports": [{"port": 80, "targetPort": "http"}]}}),
        value!({"spec": {
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": "http"}],
            "sessionAffinity": "ClientIP", "type": "LoadBalancer", "internalTrafficPolicy": "Cluster",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
            "externalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true
        }}),
    );
}

#[test]
fn ports_are_wanted_and_told_apart() {
    check_valid(&Service, service(value!({})), &[]);
    check_valid(
        &Service,
        service(value!({"ports": []})),
        &["spec.ports: Required value"],
    );
    check_valid(
        &Service,
        service(
            value!({"ports": [{"port": 80, "nodePort": 30000}, {"port": 80, "name": "a"}, {"port": 0, "name": "a"}]}),
        ),
        &[
            "spec.ports[0].name: Required value",
            "spec.ports[2].name: Duplicate value: \"a\"",
            "spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[2].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
            "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\",\"targetPort\":0}",
        ],
    );
    check_valid(
        &Service,
        service(value!({"ports": [], "clusterIP": "None"})),
        &[],
    );
}

#[test]
fn types_have_their_own_fields() {
    check_valid(
        &Service,
        service(value!({"type": "ExternalName", "clusterIP": "None", "externalName": "A."})),
        &[
            "spec.clusterIPs: Forbidden: may not be set for ExternalName services",
            "spec.externalName: Invalid value: \"A\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        ],
    );
    check_valid(
        &Service,
        service(
            value!({"type": "NodePort", "clusterIP": "None", "loadBalancerClass": "a/b", "healthCheckNodePort": 5}),
        ),
        &[
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services",
            "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'",
            "spec.healthCheckNodePort: Invalid value: 5: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ],
    );
    check_valid(
        &Service,
        service(
            value!({"type": "Thing", "externalTrafficPolicy": "Local", "sessionAffinity": "X"}),
        ),
        &[
            "spec.sessionAffinity: Unsupported value: \"X\": supported values: \"ClientIP\", \"None\"",
            "spec.type: Unsupported value: \"Thing\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\"",
            "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
        ],
    );
}

#[test]
fn addresses_are_such() {
    check_valid(
        &Service,
        service(value!({"clusterIP": "x", "externalIPs": ["127.0.0.1", "y"]})),
        &[
            "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)",
            "spec.externalIPs[1]: Invalid value: \"y\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ],
    );
    check_valid(
        &Service,
        service(
            value!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6", "IPv6"], "ipFamilyPolicy": "Both"}),
        ),
        &[
            "spec.ipFamilies[1]: Duplicate value: \"IPv6\"",
            "spec.ipFamilyPolicy: Unsupported value: \"Both\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ],
    );
}

fn allocated(spec: Value) -> Value {
    let mut object = service(spec);
    for (key, value) in [
        ("clusterIP", value!("10.0.0.1")),
        ("clusterIPs", value!(["10.0.0.1"])),
        ("ipFamilies", value!(["IPv4"])),
        ("ipFamilyPolicy", value!("SingleStack")),
    ] {
        object.set_at(&["spec", key], value);
    }
    object
}

#[test]
fn what_was_given_stays() {
    let old = allocated(value!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
    let mut new = value!({"spec": {"type": "NodePort", "ports": [{"port": 81}]}});
    for key in ["ipFamilies", "ipFamilyPolicy"] {
        new.set_at(&["spec", key], old.at(&["spec", key]).cloned());
    }
    let new = check_change(&old, new, &[]);
    assert_eq!(new.str_at(&["spec", "clusterIP"]), "10.0.0.1");
    assert_eq!(new.at(&["spec", "clusterIPs"]), Some(&value!(["10.0.0.1"])));
    assert_eq!(
        new.items_at(&["spec", "ports"])[0].i64_at(&["nodePort"]),
        Some(30080)
    );

    let mut other = new.clone();
    other.set_at(&["spec", "clusterIP"], "10.0.0.2");
    check_change(
        &new,
        other,
        &["spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"],
    );
}

#[test]
fn what_a_type_needed_goes_with_it() {
    let old = allocated(value!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}]}));
    let mut new = old.clone();
    new.set_at(&["spec", "type"], "ClusterIP");
    let new = check_change(&old, new, &[]);
    assert_eq!(new.items_at(&["spec", "ports"])[0].get("nodePort"), None);
    assert_eq!(new.at(&["spec", "externalTrafficPolicy"]), None);

    let mut external = new.clone();
    external.set_at(&["spec", "type"], "ExternalName");
    external.set_at(&["spec", "externalName"], "e.com");
    let external = check_change(&new, external, &[]);
    assert_eq!(external.at(&["spec", "clusterIP"]), None);
    assert_eq!(external.at(&["spec", "ipFamilies"]), None);
}

#[test]
fn columns_say_where_it_is() {
    let mut object = allocated(
        value!({"type": "LoadBalancer", "selector": {"app": "a"}, "ports": [{"port": 80, "nodePort": 30080}]}),
    );
    object.set_at(&["metadata", "creationTimestamp"], "2024-01-01T00:00:00Z");
    let now = "2024-01-01T00:00:09Z";
    check_columns(
        &Service,
        &object,
        now,
        &[
            "s",
            "LoadBalancer",
            "10.0.0.1",
            "<pending>",
            "80:30080/TCP",
            "9s",
            "app=a",
        ],
    );
    object.set_at(
        &["status", "loadBalancer", "ingress"],
        value!([{"ip": "1.2.3.4"}]),
    );
    check_columns(
        &Service,
        &object,
        now,
        &[
            "s",
            "LoadBalancer",
            "10.0.0.1",
            "1.2.3.4",
            "80:30080/TCP",
            "9s",
            "app=a",
        ],
    );
}
