//! What the proxy keeps of the API's objects: small projections, made once
//! when an object arrives, and the word where to look again.
//!
//! Whoever watches the API calls this from the handlers of its informers. The
//! loop may only start when all three are complete, as it removes from the
//! kernel what is not here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::{
        core::v1::{Pod, Service as ApiService},
        discovery::v1::EndpointSlice as ApiSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use crate::{
    convert,
    model::{EndpointSlice, HostPort, Owner, Service},
    run::{Dirty, Source},
};

/// The projections. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    dirty: Dirty,
    inner: Arc<Mutex<Inner>>,
}

/// Everything is named `namespace/name`.
#[derive(Debug, Default)]
struct Inner {
    services: HashMap<Arc<str>, Service>,
    /// Slices, each with the Service that it belongs to.
    slices: HashMap<Arc<str>, (Arc<str>, EndpointSlice)>,
    /// The slices of each Service, known or not.
    slices_of: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    host_ports: BTreeMap<Arc<str>, Vec<HostPort>>,
}

impl Cache {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The handle that the loop listens to.
    pub fn dirty(&self) -> Dirty {
        self.dirty.clone()
    }

    /// A Service was added or changed.
    pub fn set_service(&self, object: &ApiService) {
        let name = name_of(&object.metadata);
        let mut inner = self.lock();
        let service = convert::service(object);
        let before = match &service {
            Some(service) => inner.services.insert(name.clone(), service.clone()),
            None => inner.services.remove(&*name),
        };
        drop(inner);
        if before != service {
            self.dirty.service(&name);
        }
    }

    /// A Service is gone.
    pub fn remove_service(&self, metadata: &ObjectMeta) {
        let name = name_of(metadata);
        if self.lock().services.remove(&*name).is_some() {
            self.dirty.service(&name);
        }
    }

    /// A slice was added or changed.
    pub fn set_slice(&self, object: &ApiSlice) {
        let slice = convert::endpoint_slice(object);
        let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
        let slice = slice.map(|(service, slice)| (format!("{namespace}/{service}").into(), slice));
        self.replace_slice(name_of(&object.metadata), slice);
    }

    /// A slice is gone.
    pub fn remove_slice(&self, metadata: &ObjectMeta) {
        self.replace_slice(name_of(metadata), None);
    }

    /// A pod of this node was added or changed. Pods of other nodes must be
    /// left out.
    pub fn set_pod(&self, object: &Pod) {
        self.replace_pod(name_of(&object.metadata), convert::host_ports(object));
    }

    /// A pod is gone.
    pub fn remove_pod(&self, metadata: &ObjectMeta) {
        self.replace_pod(name_of(metadata), Vec::new());
    }

    fn replace_slice(&self, name: Arc<str>, slice: Option<(Arc<str>, EndpointSlice)>) {
        let mut inner = self.lock();
        let before = match &slice {
            Some(slice) => inner.slices.insert(name.clone(), slice.clone()),
            None => inner.slices.remove(&*name),
        };
        if before == slice {
            return;
        }
        // It may belong to another Service now.
        let mut touched = BTreeSet::new();
        if let Some((service, _)) = before {
            inner.unlink(&service, &name);
            touched.insert(service);
        }
        if let Some((service, _)) = slice {
            let slices = inner.slices_of.entry(service.clone()).or_default();
            slices.insert(name);
            touched.insert(service);
        }
        drop(inner);
        for service in touched {
            self.dirty.service(&service);
        }
    }

    fn replace_pod(&self, name: Arc<str>, ports: Vec<HostPort>) {
        let mut inner = self.lock();
        let before = if ports.is_empty() {
            inner.host_ports.remove(&*name).unwrap_or_default()
        } else {
            let before = inner.host_ports.insert(name.clone(), ports.clone());
            before.unwrap_or_default()
        };
        drop(inner);
        if before != ports {
            self.dirty.pod(&name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn unlink(&mut self, service: &Arc<str>, slice: &Arc<str>) {
        if let Some(slices) = self.slices_of.get_mut(service) {
            slices.remove(slice);
            if slices.is_empty() {
                self.slices_of.remove(service);
            }
        }
    }
}

impl Source for Cache {
    fn owners(&self) -> Vec<Owner> {
        let inner = self.lock();
        let services = inner.services.keys().cloned().map(Owner::Service);
        let pods = inner.host_ports.keys().cloned().map(Owner::Pod);
        services.chain(pods).collect()
    }

    fn service(&self, name: &str) -> Option<(Service, Vec<EndpointSlice>)> {
        let inner = self.lock();
        let service = inner.services.get(name)?.clone();
        let names = inner.slices_of.get(name).into_iter().flatten();
        let slices = names.filter_map(|slice| inner.slices.get(slice));
        Some((service, slices.map(|(_, slice)| slice.clone()).collect()))
    }

    fn host_ports(&self, pod: &str) -> Option<Vec<HostPort>> {
        self.lock().host_ports.get(pod).cloned()
    }
}

fn name_of(metadata: &ObjectMeta) -> Arc<str> {
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    let name = metadata.name.as_deref().unwrap_or_default();
    format!("{namespace}/{name}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, from_value, json};

    fn slice(name: &str, service: &str, address: &str) -> ApiSlice {
        from_value(json!({
            "metadata": {
                "namespace": "default", "name": name,
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "ports": [{"name": "", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address]}],
        }))
        .unwrap()
    }

    fn service(spec: Value) -> ApiService {
        let metadata = json!({"namespace": "default", "name": "web"});
        from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn count(cache: &Cache) -> Option<usize> {
        let found = cache.service("default/web");
        found.map(|(_, slices)| slices.len())
    }

    #[test]
    fn slices_find_their_service_whichever_comes_first() {
        let cache = Cache::new();
        cache.set_slice(&slice("a", "web", "10.42.0.5"));
        cache.set_slice(&slice("b", "web", "10.42.0.6"));
        assert_eq!(count(&cache), None);
        let object = service(json!({"clusterIP": "10.43.0.1", "ports": [{"port": 80}]}));
        cache.set_service(&object);
        assert_eq!(count(&cache), Some(2));
        cache.set_slice(&slice("b", "other", "10.42.0.6"));
        assert_eq!(count(&cache), Some(1));
        cache.remove_slice(&slice("a", "web", "").metadata);
        assert_eq!(count(&cache), Some(0));
        // It became headless.
        cache.set_service(&service(json!({"clusterIP": "None"})));
        assert_eq!(count(&cache), None);
        cache.set_service(&object);
        cache.remove_service(&object.metadata);
        assert_eq!(cache.owners(), []);
    }

    #[test]
    fn only_changes_are_told() {
        let cache = Cache::new();
        let told = || cache.dirty.take_owners();
        let object = service(json!({"clusterIP": "10.43.0.1", "ports": [{"port": 80}]}));
        cache.set_service(&object);
        cache.set_slice(&slice("a", "web", "10.42.0.5"));
        let web = Owner::Service("default/web".into());
        assert_eq!(told(), std::slice::from_ref(&web));
        cache.set_service(&object);
        cache.set_slice(&slice("a", "web", "10.42.0.5"));
        assert_eq!(told(), []);
        cache.set_slice(&slice("a", "other", "10.42.0.5"));
        assert_eq!(told(), [Owner::Service("default/other".into()), web]);
    }

    #[test]
    fn pods_with_host_ports_are_owners() {
        let cache = Cache::new();
        let pod: Pod = from_value(json!({
            "metadata": {"namespace": "default", "name": "web"},
            "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
            "status": {"phase": "Running", "podIP": "10.42.0.5"},
        }))
        .unwrap();
        cache.set_pod(&pod);
        assert_eq!(cache.owners(), [Owner::Pod("default/web".into())]);
        assert_eq!(cache.host_ports("default/web").unwrap().len(), 1);
        cache.remove_pod(&pod.metadata);
        assert_eq!(cache.owners(), []);
    }
}
