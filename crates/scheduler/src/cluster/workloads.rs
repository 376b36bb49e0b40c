//! Services and controllers, of which only the selectors matter: they tell
//! which pods are a pod's siblings, to be spread by default.
//!
//! Follows pkg/scheduler/framework/plugins/helper/spread.go.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::labels::{Shared, pair_hash};
use crate::pod::PodInfo;
use crate::selector::Selector;

/// Kind, namespace and name.
type ControllerKey = (Box<str>, Box<str>, Box<str>);

/// Selectors by owner.
#[derive(Debug, Default)]
pub struct Workloads {
    services: FxHashMap<Box<str>, Vec<Service>>,
    controllers: FxHashMap<ControllerKey, Selector>,
    shared: Shared<Selector>,
}

#[derive(Debug)]
struct Service {
    name: Box<str>,
    /// A pair that each of the service's pods has.
    pair: u64,
    selector: Selector,
}

impl Workloads {
    /// A service's selector; services without one are left out.
    pub fn set_service<'a>(
        &mut self,
        namespace: &str,
        name: &str,
        selector: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) {
        self.remove_service(namespace, name);
        let Some((key, value)) = selector.clone().next() else {
            return;
        };
        let services = self.services.entry(namespace.into()).or_default();
        services.push(Service {
            name: name.into(),
            pair: pair_hash(key, value),
            selector: Selector::from_pairs(selector),
        });
    }

    /// A service is gone.
    pub fn remove_service(&mut self, namespace: &str, name: &str) {
        if let Some(services) = self.services.get_mut(namespace) {
            services.retain(|service| *service.name != *name);
            if services.is_empty() {
                self.services.remove(namespace);
            }
        }
    }

    /// A controller's selector.
    pub fn set_controller(&mut self, kind: &str, namespace: &str, name: &str, to: Selector) {
        let key = (kind.into(), namespace.into(), name.into());
        self.controllers.insert(key, to);
    }

    /// A controller is gone.
    pub fn remove_controller(&mut self, kind: &str, namespace: &str, name: &str) {
        let key = (kind.into(), namespace.into(), name.into());
        self.controllers.remove(&key);
    }

    /// The selector of a pod's siblings; `None` if nothing selects the pod.
    pub fn siblings(&mut self, pod: &PodInfo) -> Option<Arc<Selector>> {
        let mut selector = Selector::everything();
        for service in self.services.get(&*pod.namespace).into_iter().flatten() {
            if pod.labels.hashes().contains(&service.pair) && service.selector.matches(&pod.labels)
            {
                selector = selector.merge(&service.selector);
            }
        }
        if let Some(owner) = &pod.shape.owner
            && !self.controllers.is_empty()
        {
            let namespace: Box<str> = (*pod.namespace).into();
            let key = (owner.kind.clone(), namespace, owner.name.clone());
            if let Some(own) = self.controllers.get(&key) {
                selector = selector.merge(own);
            }
        }
        (!selector.is_everything()).then(|| self.shared.share(selector))
    }
}
