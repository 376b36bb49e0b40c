//! From ports as users name them to numbers in a pod.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/util/{pod_port,service_port}.go.

use crate::error::{Result, said};
use meta::Value;
use std::collections::BTreeSet;

/// The port here and the port there: `8080:80`, `80`, `:http`.
fn split(port: &str) -> (&str, &str) {
    match port.split(':').collect::<Vec<_>>().as_slice() {
        [local, remote] => (local, remote),
        parts => (parts[0], parts[0]),
    }
}

/// Ports of a service are those of the pod that serves.
pub(super) fn of_service(ports: &[String], service: &Value, pod: &Value) -> Result<Vec<String>> {
    let all = service.items_at(&["spec", "ports"]);
    let number = |name: &str| named_port(service, name);
    refuse_udp(ports, all, "port", number)?;
    let translate = |port: &String| {
        let (mut local, remote) = (split(port).0.to_string(), split(port).1);
        let number = match remote.parse::<i64>() {
            Ok(number) => number,
            Err(_) => number(remote)?,
        };
        if remote.parse::<i64>().is_err() && local == remote {
            local = number.to_string();
        }
        let target = target(service, pod, number)?.to_string();
        Ok(match local == target {
            true => target,
            false => format!("{local}:{target}"),
        })
    };
    ports.iter().map(translate).collect()
}

/// Ports of a pod may have names.
pub(super) fn of_pod(ports: &[String], pod: &Value) -> Result<Vec<String>> {
    let containers = pod.items_at(&["spec", "containers"]).iter();
    let all: Vec<Value> = containers
        .flat_map(|container| container.items_at(&["ports"]).to_vec())
        .collect();
    refuse_udp(ports, &all, "containerPort", |name| {
        container_port(pod, name)
    })?;
    let convert = |port: &String| {
        let (local, remote) = split(port);
        if remote.is_empty() {
            return said("remote port cannot be empty");
        }
        let number = match remote.parse::<i64>() {
            Ok(_) => remote.to_string(),
            Err(_) => container_port(pod, remote)?.to_string(),
        };
        Ok(match local == remote {
            true => number,
            false => format!("{local}:{number}"),
        })
    };
    ports.iter().map(convert).collect()
}

fn refuse_udp(
    ports: &[String],
    all: &[Value],
    field: &str,
    number: impl Fn(&str) -> Result<i64>,
) -> Result {
    let of = |protocol: &str| -> BTreeSet<i64> {
        let all = all
            .iter()
            .filter(|one| one.str_at(&["protocol"]) == protocol);
        all.filter_map(|one| one.i64_at(&[field])).collect()
    };
    let only_udp = &of("UDP") - &of("TCP");
    for port in ports {
        let remote = split(port).1;
        let number = match remote.parse() {
            Ok(number) => number,
            // What names nothing is found out where it matters.
            Err(_) if remote.is_empty() => continue,
            Err(_) => number(remote)?,
        };
        if only_udp.contains(&number) {
            return said(format!("UDP protocol is not supported for {remote}"));
        }
    }
    Ok(())
}

fn named_port(service: &Value, name: &str) -> Result<i64> {
    let mut ports = service.items_at(&["spec", "ports"]).iter();
    let found = ports.find(|port| port.str_at(&["name"]) == name);
    match found.and_then(|port| port.i64_at(&["port"])) {
        Some(number) => Ok(number),
        None => said(format!(
            "Service '{}' does not have a named port '{name}'",
            service.str_at(&["metadata", "name"])
        )),
    }
}

fn container_port(pod: &Value, name: &str) -> Result<i64> {
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().flat_map(|list| pod.items_at(&["spec", list]));
    let mut ports = containers.flat_map(|container| container.items_at(&["ports"]));
    let found = ports.find(|port| port.str_at(&["name"]) == name);
    match found.and_then(|port| port.i64_at(&["containerPort"])) {
        Some(number) => Ok(number),
        None => said(format!(
            "Pod '{}' does not have a named port '{name}'",
            pod.str_at(&["metadata", "name"])
        )),
    }
}

fn target(service: &Value, pod: &Value, number: i64) -> Result<i64> {
    let mut ports = service.items_at(&["spec", "ports"]).iter();
    let Some(port) = ports.find(|port| port.i64_at(&["port"]) == Some(number)) else {
        return said(format!(
            "Service {} does not have a service port {number}",
            service.str_at(&["metadata", "name"])
        ));
    };
    if service.str_at(&["spec", "clusterIP"]) == "None" {
        return Ok(number);
    }
    match port.get("targetPort") {
        None | Some(Value::Null) => Ok(number),
        Some(target) => match (target.as_i64(), target.as_str()) {
            (Some(0), _) => Ok(number),
            (Some(target), _) => Ok(target),
            (None, name) => container_port(pod, name.unwrap_or_default()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    fn pod() -> Value {
        value!({"metadata": {"name": "a"}, "spec": {"containers": [{"ports": [
            {"name": "http", "containerPort": 8080, "protocol": "TCP"},
            {"name": "dns", "containerPort": 53, "protocol": "UDP"}
        ]}]}})
    }

    fn read(result: Result<Vec<String>>) -> String {
        result.map_or_else(|error| error.to_string(), |ports| ports.join(" "))
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_string).collect()
    }

    #[test]
    fn names_become_numbers() {
        for (ports, expected) in [
            ("80 1:80 :80 0:80", "80 1:80 :80 0:80"),
            ("http 1:http :http", "8080 1:8080 :8080"),
            ("smtp", "Pod 'a' does not have a named port 'smtp'"),
            ("53", "UDP protocol is not supported for 53"),
            ("1:dns", "UDP protocol is not supported for dns"),
            ("1:", "remote port cannot be empty"),
        ] {
            assert_eq!(read(of_pod(&words(ports), &pod())), expected, "{ports}");
        }
    }

    #[test]
    fn services_lead_to_the_ports_of_pods() {
        let service = value!({"metadata": {"name": "s"}, "spec": {"clusterIP": "10.0.0.1", "ports": [
            {"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"},
            {"name": "number", "port": 81, "targetPort": 8081, "protocol": "TCP"},
            {"name": "same", "port": 82, "protocol": "TCP"}
        ]}});
        for (ports, expected) in [
            ("80 1:81 82", "80:8080 1:8081 82"),
            ("web :web 8080:web", "80:8080 :8080 8080"),
            ("90", "Service s does not have a service port 90"),
            ("no", "Service 's' does not have a named port 'no'"),
        ] {
            let read = read(of_service(&words(ports), &service, &pod()));
            assert_eq!(read, expected, "{ports}");
        }
        let mut headless = service;
        headless.set_at(&["spec", "clusterIP"], "None");
        assert_eq!(read(of_service(&words("80"), &headless, &pod())), "80");
    }
}
