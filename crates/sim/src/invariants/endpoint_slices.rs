//! At rest the slices of a Service hold exactly the addresses of the pods that it
//! selects, ready those that are ready.

use super::{Invariant, View, is_finished};
use crate::history::{Object, Place};
use std::collections::BTreeMap;

pub struct EndpointSlices;

impl Invariant for EndpointSlices {
    fn name(&self) -> &'static str {
        "endpoint slices"
    }

    fn rest(&mut self, view: &View<'_>) -> Result<(), String> {
        let services = view.history.all("core/services");
        for (place, service) in services {
            if service.at("/spec/selector").is_object() {
                let (found, expected) = (told(view, place)?, expected(view, place, service));
                if found != expected {
                    return Err(format!("{place} tells of {found:?} and has {expected:?}"));
                }
            }
        }
        let slices = view.history.all("discovery.k8s.io/endpointslices");
        for (place, slice) in slices {
            // Who deletes a Service and orphans its dependents keeps its slices.
            if view.scenario.orphaning && slice.controller().is_none() {
                continue;
            }
            let service = slice
                .label("kubernetes.io/service-name")
                .unwrap_or_default();
            if view
                .history
                .get("core/services", &place.namespace, service)
                .is_none()
            {
                return Err(format!("{place} is of {service:?}, which is not there"));
            }
        }
        Ok(())
    }
}

/// Addresses and whether they are ready, as the slices say.
fn told(view: &View<'_>, service: &Place) -> Result<BTreeMap<String, bool>, String> {
    let mut found = BTreeMap::new();
    for (place, slice) in view.history.all("discovery.k8s.io/endpointslices") {
        if place.namespace != service.namespace
            || slice.label("kubernetes.io/service-name") != Some(&service.name)
        {
            continue;
        }
        for endpoint in slice.items("/endpoints") {
            let address = endpoint["addresses"][0].as_str().unwrap_or_default();
            let ready = endpoint["conditions"]["ready"] == true;
            if found.insert(address.to_owned(), ready).is_some() {
                return Err(format!("{service} has {address} twice"));
            }
        }
    }
    Ok(found)
}

/// The addresses that a Service has, and whether they are ready.
pub(super) fn expected(
    view: &View<'_>,
    service: &Place,
    object: &Object,
) -> BTreeMap<String, bool> {
    let mut expected = BTreeMap::new();
    for (place, pod) in view.history.all("core/pods") {
        let selected = pod.has_labels(object.at("/spec/selector"));
        let ip = pod.text("/status/podIP");
        if place.namespace == service.namespace && selected && !ip.is_empty() && !is_finished(pod) {
            expected.insert(
                ip.to_owned(),
                pod.has_condition("Ready") && !pod.is_deleting(),
            );
        }
    }
    expected
}
