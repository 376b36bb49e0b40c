//! Variables that tell a container where the services are.
//!
//! Follows pkg/kubelet/envvars/envvars.go and kubelet_pods.go,
//! getServiceEnvVarMap: the cluster's own API service always, those of the
//! pod's namespace where the pod wants service links.

use std::collections::BTreeMap;
use std::sync::Arc;

use typed::Typed;
use typed::api::core::v1::Service;

/// The namespace and name of the API server's service.
const MASTER: (&str, &str) = ("default", "kubernetes");

/// The variables that a pod of this namespace sees.
pub fn service_variables(
    namespace: &str,
    links: bool,
    services: &[Arc<Service>],
) -> BTreeMap<String, String> {
    let mut seen: BTreeMap<&str, &Service> = BTreeMap::new();
    for service in services {
        if address(service).is_none() {
            continue;
        }
        let is_master = (service.namespace(), service.name()) == MASTER;
        if service.namespace() == namespace && (links || is_master) {
            seen.insert(service.name(), service);
        } else if is_master {
            // A service of the same name in the pod's own namespace goes first.
            seen.entry(service.name()).or_insert(service);
        }
    }
    let mut variables = BTreeMap::new();
    for service in seen.into_values() {
        describe(service, &mut variables);
    }
    variables
}

/// The service's cluster address; headless services have none.
fn address(service: &Service) -> Option<&str> {
    let spec = service.spec.as_ref()?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return None;
    }
    spec.cluster_ip
        .as_deref()
        .filter(|ip| !ip.is_empty() && *ip != "None")
}

fn describe(service: &Service, variables: &mut BTreeMap<String, String>) {
    let (Some(ip), Some(spec)) = (address(service), service.spec.as_ref()) else {
        return;
    };
    let prefix = variable_name(service.name());
    let ports = spec.ports.as_deref().unwrap_or_default();
    variables.insert(format!("{prefix}_SERVICE_HOST"), ip.to_owned());
    if let Some(first) = ports.first() {
        variables.insert(format!("{prefix}_SERVICE_PORT"), first.port.to_string());
    }
    for port in ports {
        let name = port.name.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = name {
            let name = variable_name(name);
            variables.insert(
                format!("{prefix}_SERVICE_PORT_{name}"),
                port.port.to_string(),
            );
        }
    }
    let host = if ip.contains(':') {
        format!("[{ip}]")
    } else {
        ip.to_owned()
    };
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let lower = protocol.to_lowercase();
        let number = port.port;
        let url = format!("{lower}://{host}:{number}");
        if index == 0 {
            variables.insert(format!("{prefix}_PORT"), url.clone());
        }
        let stem = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        variables.insert(stem.clone(), url);
        variables.insert(format!("{stem}_PROTO"), lower);
        variables.insert(format!("{stem}_PORT"), number.to_string());
        variables.insert(format!("{stem}_ADDR"), ip.to_owned());
    }
}

/// `my-service` becomes `MY_SERVICE`.
fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use typed::Wire;

    fn service(namespace: &str, name: &str, ip: &str) -> Arc<Service> {
        let object = serde_json::json!({
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": ip, "ports": [
                {"name": "http", "port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}
            ]},
        });
        Arc::new(Service::decode(object.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn each_service_has_its_variables() {
        let services = [
            service("shop", "web-a", "10.43.0.7"),
            service("shop", "headless", "None"),
            service("other", "far", "10.43.0.8"),
        ];
        let variables = service_variables("shop", true, &services);
        let lines: Vec<String> = variables.iter().map(|(k, v)| format!("{k}={v}")).collect();
        expect![[r#"
            WEB_A_PORT=tcp://10.43.0.7:80
            WEB_A_PORT_53_UDP=udp://10.43.0.7:53
            WEB_A_PORT_53_UDP_ADDR=10.43.0.7
            WEB_A_PORT_53_UDP_PORT=53
            WEB_A_PORT_53_UDP_PROTO=udp
            WEB_A_PORT_80_TCP=tcp://10.43.0.7:80
            WEB_A_PORT_80_TCP_ADDR=10.43.0.7
            WEB_A_PORT_80_TCP_PORT=80
            WEB_A_PORT_80_TCP_PROTO=tcp
            WEB_A_SERVICE_HOST=10.43.0.7
            WEB_A_SERVICE_PORT=80
            WEB_A_SERVICE_PORT_HTTP=80"#]]
        .assert_eq(&lines.join("\n"));
    }

    #[test]
    fn the_api_is_always_there() {
        let services = [
            service("default", "kubernetes", "10.43.0.1"),
            service("shop", "web", "10.43.0.7"),
        ];
        let variables = service_variables("shop", false, &services);
        assert_eq!(variables["KUBERNETES_SERVICE_HOST"], "10.43.0.1");
        assert!(!variables.contains_key("WEB_SERVICE_HOST"));
    }
}
