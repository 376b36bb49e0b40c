//! A directory that is kept up to date object by object.
//!
//! Whoever watches Services, EndpointSlices and Namespaces calls `set_…` and
//! `remove_…`; lookups in between see whole changes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use crate::directory::{Directory, Endpoint, Reach, Service, Slice, hostname};

/// The services of a cluster. Clones share it.
#[derive(Clone, Default)]
pub struct Zone {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    tables: RwLock<Tables>,
    serial: AtomicU32,
    synced: AtomicBool,
}

#[derive(Default)]
struct Tables {
    namespaces: HashMap<String, Namespace>,
    /// Namespaces that exist, whether or not anything is in them.
    existing: HashSet<String>,
    /// Services by their addresses: namespace and name.
    by_address: HashMap<IpAddr, (String, String)>,
    /// Services with endpoints at an address, with the number of endpoints.
    endpoints_at: HashMap<IpAddr, BTreeMap<(String, String), usize>>,
}

#[derive(Default)]
struct Namespace {
    services: HashMap<String, Arc<Service>>,
    endpoints: HashMap<String, Slices>,
    /// Whose each slice is.
    owners: HashMap<String, String>,
}

#[derive(Default)]
struct Slices {
    slices: BTreeMap<String, Slice>,
    merged: Arc<[Endpoint]>,
}

impl Zone {
    /// A directory of nothing, not yet synced.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that everything there is has been set.
    pub fn set_synced(&self) {
        self.inner.synced.store(true, Ordering::Release);
    }

    /// Says that a namespace exists.
    pub fn set_namespace(&self, name: &str) {
        self.write().existing.insert(name.to_owned());
    }

    /// Says that a namespace does not exist any more.
    pub fn remove_namespace(&self, name: &str) {
        self.write().existing.remove(name);
    }

    /// Sets a service, new or changed.
    pub fn set_service(&self, service: Service) {
        let mut tables = self.write();
        tables.remove_service(&service.namespace, &service.name);
        let key = (service.namespace.clone(), service.name.clone());
        for address in addresses(&service) {
            tables.by_address.insert(address, key.clone());
        }
        let namespace = tables.namespaces.entry(key.0).or_default();
        namespace.services.insert(key.1, Arc::new(service));
    }

    /// Removes a service.
    pub fn remove_service(&self, namespace: &str, name: &str) {
        self.write().remove_service(namespace, name);
    }

    /// Sets a slice of endpoints, new or changed.
    pub fn set_slice(&self, slice: Slice) {
        let mut tables = self.write();
        // The slice may have belonged to another service before.
        tables.remove_slice(&slice.namespace, &slice.name);
        let service = slice.service.clone();
        let namespace = slice.namespace.clone();
        let space = tables.namespaces.entry(namespace.clone()).or_default();
        space.owners.insert(slice.name.clone(), service.clone());
        let slices = tables.slices_of(&namespace, &service);
        slices.slices.insert(slice.name.clone(), slice);
        tables.merge(&namespace, &service);
    }

    /// Removes a slice of endpoints.
    pub fn remove_slice(&self, namespace: &str, name: &str) {
        self.write().remove_slice(namespace, name);
    }

    fn read(&self) -> RwLockReadGuard<'_, Tables> {
        let tables = self.inner.tables.read();
        tables.unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Tables> {
        self.inner.serial.fetch_add(1, Ordering::Relaxed);
        let tables = self.inner.tables.write();
        tables.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn remove_service(&mut self, namespace: &str, name: &str) {
        let Some(space) = self.namespaces.get_mut(namespace) else {
            return;
        };
        let Some(service) = space.services.remove(name) else {
            return;
        };
        for address in addresses(&service) {
            // Another service may have been given the address already.
            let owner = self.by_address.get(&address);
            if owner.is_some_and(|(space, other)| space == namespace && other == name) {
                self.by_address.remove(&address);
            }
        }
        self.forget_if_empty(namespace);
    }

    fn remove_slice(&mut self, namespace: &str, name: &str) {
        let Some(space) = self.namespaces.get_mut(namespace) else {
            return;
        };
        let Some(service) = space.owners.remove(name) else {
            return;
        };
        self.slices_of(namespace, &service).slices.remove(name);
        self.merge(namespace, &service);
        self.forget_if_empty(namespace);
    }

    fn slices_of(&mut self, namespace: &str, service: &str) -> &mut Slices {
        let space = self.namespaces.entry(namespace.to_owned()).or_default();
        space.endpoints.entry(service.to_owned()).or_default()
    }

    /// Makes the endpoints of a service anew from its slices.
    fn merge(&mut self, namespace: &str, service: &str) {
        let slices = self.slices_of(namespace, service);
        let before = std::mem::replace(&mut slices.merged, merge(&slices.slices));
        let after = slices.merged.clone();
        let empty = slices.slices.is_empty();
        let key = (namespace.to_owned(), service.to_owned());
        for endpoint in before.iter() {
            self.uncount(endpoint.address, &key);
        }
        for endpoint in after.iter() {
            let services = self.endpoints_at.entry(endpoint.address).or_default();
            *services.entry(key.clone()).or_default() += 1;
        }
        if empty && let Some(space) = self.namespaces.get_mut(namespace) {
            space.endpoints.remove(service);
        }
    }

    fn uncount(&mut self, address: IpAddr, key: &(String, String)) {
        let Some(services) = self.endpoints_at.get_mut(&address) else {
            return;
        };
        if let Some(count) = services.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                services.remove(key);
            }
        }
        if services.is_empty() {
            self.endpoints_at.remove(&address);
        }
    }

    fn forget_if_empty(&mut self, namespace: &str) {
        let empty = |space: &Namespace| space.services.is_empty() && space.endpoints.is_empty();
        if self.namespaces.get(namespace).is_some_and(empty) {
            self.namespaces.remove(namespace);
        }
    }
}

impl Directory for Zone {
    fn synced(&self) -> bool {
        self.inner.synced.load(Ordering::Acquire)
    }

    fn serial(&self) -> u32 {
        self.inner.serial.load(Ordering::Relaxed)
    }

    fn namespace(&self, name: &str) -> bool {
        self.read().existing.contains(name)
    }

    fn service(&self, namespace: &str, name: &str) -> Option<Arc<Service>> {
        let tables = self.read();
        tables
            .namespaces
            .get(namespace)?
            .services
            .get(name)
            .cloned()
    }

    fn endpoints(&self, namespace: &str, name: &str) -> Arc<[Endpoint]> {
        let tables = self.read();
        let space = tables.namespaces.get(namespace);
        let slices = space.and_then(|space| space.endpoints.get(name));
        slices
            .map(|slices| slices.merged.clone())
            .unwrap_or_default()
    }

    fn service_at(&self, address: IpAddr) -> Option<Arc<Service>> {
        let tables = self.read();
        let (namespace, name) = tables.by_address.get(&address)?;
        tables
            .namespaces
            .get(namespace)?
            .services
            .get(name)
            .cloned()
    }

    fn endpoints_at(&self, address: IpAddr) -> Vec<String> {
        let tables = self.read();
        let Some(services) = tables.endpoints_at.get(&address) else {
            return Vec::new();
        };
        let mut names = Vec::new();
        for (namespace, service) in services.keys() {
            let space = tables.namespaces.get(namespace);
            let slices = space.and_then(|space| space.endpoints.get(service));
            let endpoints = slices.into_iter().flat_map(|slices| slices.merged.iter());
            for endpoint in endpoints.filter(|endpoint| endpoint.address == address) {
                names.push(format!("{}.{service}.{namespace}", endpoint.hostname));
            }
        }
        names
    }
}

fn addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    let own = match &service.reach {
        Reach::Cluster(addresses) => &addresses[..],
        Reach::Headless | Reach::External(_) => &[],
    };
    own.iter().chain(&service.external_ips).copied()
}

fn merge(slices: &BTreeMap<String, Slice>) -> Arc<[Endpoint]> {
    let mut merged = Vec::new();
    for slice in slices.values() {
        let ports: Arc<[_]> = slice.ports.clone().into();
        merged.extend(slice.endpoints.iter().map(|(address, claimed)| Endpoint {
            address: *address,
            hostname: hostname(*address, claimed.as_deref()),
            ports: ports.clone(),
        }));
    }
    merged.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(name: &str, service: &str, addresses: &[&str]) -> Slice {
        let endpoints = addresses.iter().map(|a| (a.parse().unwrap(), None));
        Slice {
            namespace: "ns".into(),
            name: name.into(),
            service: service.into(),
            endpoints: endpoints.collect(),
            ports: Vec::new(),
        }
    }

    fn service(name: &str, address: &str) -> Service {
        Service {
            namespace: "ns".into(),
            name: name.into(),
            reach: Reach::Cluster(vec![address.parse().unwrap()]),
            ..Service::default()
        }
    }

    #[test]
    fn slices_come_and_go() {
        let zone = Zone::new();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        zone.set_slice(slice("a", "web", &["10.0.0.1", "10.0.0.2"]));
        zone.set_slice(slice("b", "web", &["10.0.0.3"]));
        assert_eq!(zone.endpoints("ns", "web").len(), 3);
        assert_eq!(zone.endpoints_at(address), ["10-0-0-1.web.ns"]);
        zone.set_slice(slice("a", "other", &["10.0.0.1"]));
        assert_eq!(zone.endpoints("ns", "web").len(), 1);
        assert_eq!(zone.endpoints_at(address), ["10-0-0-1.other.ns"]);
        zone.remove_slice("ns", "a");
        zone.remove_slice("ns", "a");
        assert!(zone.endpoints_at(address).is_empty());
        zone.remove_slice("ns", "b");
        assert!(zone.read().namespaces.is_empty());
        assert!(zone.read().endpoints_at.is_empty());
    }

    #[test]
    fn addresses_move_between_services() {
        let zone = Zone::new();
        let address: IpAddr = "10.43.0.1".parse().unwrap();
        zone.set_service(service("a", "10.43.0.1"));
        zone.set_service(service("b", "10.43.0.1"));
        zone.remove_service("ns", "a");
        assert_eq!(zone.service_at(address).unwrap().name, "b");
        zone.set_service(service("b", "10.43.0.2"));
        assert_eq!(zone.service_at(address), None);
        let before = zone.serial();
        zone.remove_service("ns", "b");
        assert!(zone.serial() > before);
        assert!(zone.read().namespaces.is_empty());
        assert!(zone.read().by_address.is_empty());
    }
}
