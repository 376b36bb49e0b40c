//! API objects as the directory wants them.

use std::net::IpAddr;

use typed::api::{
    core::v1,
    discovery::v1::{EndpointPort, EndpointSlice},
};

use crate::directory::{Port, Reach, Service, Slice};

/// Names the Service of an EndpointSlice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// A Service of the API.
pub fn service(service: &v1::Service) -> Service {
    let spec = service.spec.as_ref();
    let texts = |texts: Option<&Vec<String>>| -> Vec<IpAddr> {
        let texts = texts.into_iter().flatten();
        texts.filter_map(|text| text.parse().ok()).collect()
    };
    Service {
        namespace: service.metadata.namespace.clone().unwrap_or_default(),
        name: service.metadata.name.clone().unwrap_or_default(),
        reach: spec.map(reach).unwrap_or_default(),
        ports: spec
            .and_then(|spec| spec.ports.as_ref())
            .into_iter()
            .flatten()
            .map(service_port)
            .collect(),
        external_ips: texts(spec.and_then(|spec| spec.external_ips.as_ref())),
    }
}

fn reach(spec: &v1::ServiceSpec) -> Reach {
    if spec.type_.as_deref() == Some("ExternalName") {
        return Reach::External(spec.external_name.clone().unwrap_or_default());
    }
    if spec.cluster_ip.as_deref() == Some("None") {
        return Reach::Headless;
    }
    let all = spec.cluster_ips.as_deref().unwrap_or_default();
    let first = spec.cluster_ip.as_slice();
    let texts = if all.is_empty() { first } else { all };
    Reach::Cluster(texts.iter().filter_map(|text| text.parse().ok()).collect())
}

fn service_port(port: &v1::ServicePort) -> Port {
    Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        number: u16::try_from(port.port).unwrap_or_default(),
    }
}

/// An EndpointSlice of the API, if it belongs to a Service and has addresses.
/// Endpoints whose readiness is unknown count as ready, as the API says.
pub fn slice(slice: &EndpointSlice) -> Option<Slice> {
    let service = slice.metadata.labels.as_ref()?.get(SERVICE_NAME)?.clone();
    let mut endpoints = Vec::new();
    for endpoint in slice.endpoints.iter().flatten() {
        let conditions = endpoint.conditions.as_ref();
        if conditions.and_then(|conditions| conditions.ready) == Some(false) {
            continue;
        }
        for address in endpoint.addresses.iter().filter_map(|a| a.parse().ok()) {
            endpoints.push((address, endpoint.hostname.clone()));
        }
    }
    let ports = slice.ports.iter().flatten();
    Some(Slice {
        namespace: slice.metadata.namespace.clone().unwrap_or_default(),
        name: slice.metadata.name.clone().unwrap_or_default(),
        service,
        endpoints,
        ports: ports.filter_map(slice_port).collect(),
    })
}

fn slice_port(port: &EndpointPort) -> Option<Port> {
    Some(Port {
        name: port.name.clone().unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        number: u16::try_from(port.port?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use typed::{
        api::discovery::v1::{Endpoint, EndpointConditions},
        meta::ObjectMeta,
    };

    use super::*;

    fn texts(texts: &[&str]) -> Option<Vec<String>> {
        Some(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn ways_to_reach_a_service() {
        let with = |spec: v1::ServiceSpec| {
            let object = v1::Service {
                spec: Some(spec),
                ..v1::Service::default()
            };
            service(&object).reach
        };
        let dual = with(v1::ServiceSpec {
            cluster_ip: Some("10.43.0.1".into()),
            cluster_ips: texts(&["10.43.0.1", "fd00::1"]),
            ..Default::default()
        });
        assert!(matches!(dual, Reach::Cluster(addresses) if addresses.len() == 2));
        let old = with(v1::ServiceSpec {
            cluster_ip: Some("10.43.0.1".into()),
            ..Default::default()
        });
        assert!(matches!(old, Reach::Cluster(addresses) if addresses.len() == 1));
        let headless = with(v1::ServiceSpec {
            cluster_ip: Some("None".into()),
            cluster_ips: texts(&["None"]),
            ..Default::default()
        });
        assert_eq!(headless, Reach::Headless);
        let external = with(v1::ServiceSpec {
            type_: Some("ExternalName".into()),
            external_name: Some("a.example".into()),
            ..Default::default()
        });
        assert_eq!(external, Reach::External("a.example".into()));
        assert_eq!(with(v1::ServiceSpec::default()), Reach::default());
    }

    #[test]
    fn ready_endpoints_of_a_slice() {
        let endpoint = |address: &str, ready: Option<bool>| Endpoint {
            addresses: texts(&[address]).unwrap_or_default(),
            conditions: Some(EndpointConditions {
                ready,
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut object = EndpointSlice {
            address_type: "IPv4".into(),
            endpoints: Some(vec![
                endpoint("10.0.0.1", Some(true)),
                endpoint("10.0.0.2", Some(false)),
                endpoint("10.0.0.3", None),
                endpoint("name.example", Some(true)),
            ]),
            ports: Some(vec![EndpointPort {
                port: Some(80),
                ..Default::default()
            }]),
            metadata: ObjectMeta {
                name: Some("web-1".into()),
                namespace: Some("ns".into()),
                ..Default::default()
            },
        };
        assert_eq!(slice(&object), None, "it belongs to nobody");
        let label = (SERVICE_NAME.to_owned(), "web".to_owned());
        object.metadata.labels = Some([label].into());
        let slice = slice(&object).unwrap();
        assert_eq!(slice.service, "web");
        let addresses: Vec<String> = slice.endpoints.iter().map(|e| e.0.to_string()).collect();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.3"]);
        assert_eq!(slice.ports[0].protocol, "TCP");
    }
}
