//! How to get from the slices that are to the addresses that should be with few writes. Follows
//! staging/src/k8s.io/endpointslice/reconciler.go.

use super::desired::{Desired, Group, PortsKey, endpoint_key, ports_key};
use super::{MANAGED_BY, MANAGER, SERVICE_NAME};
use crate::services::{HEADLESS, TRIGGER_TIME, format_trigger, is_headless};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Timestamp;
use typed::api::core::v1::Service;
use typed::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use typed::meta::ObjectMeta;
use typed::{Labels, Typed};

const ENDPOINTS_MAX: usize = 100;

/// What to write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<EndpointSlice>,
    pub(super) delete: Vec<EndpointSlice>,
}

/// Compares a Service's slices with the addresses that it should have.
pub(super) fn plan(
    service: &Service,
    slices: &[Arc<EndpointSlice>],
    desired: &Desired,
    trigger: Option<Timestamp>,
) -> Plan {
    let mut plan = Plan::default();
    let of_no_family =
        |slice: &&Arc<EndpointSlice>| !desired.families.contains_key(slice.address_type.as_str());
    let strangers = slices
        .iter()
        .filter(of_no_family)
        .map(|slice| (**slice).clone());
    plan.delete.extend(strangers);
    for (family, groups) in &desired.families {
        let own = slices
            .iter()
            .filter(|slice| slice.address_type == *family)
            .cloned();
        plan.append(plan_family(service, family, own.collect(), groups));
    }
    if service.is_deleting() {
        plan.create.clear();
    }
    for slice in plan.create.iter_mut().chain(&mut plan.update) {
        note_trigger(slice, trigger);
    }
    plan
}

impl Plan {
    fn append(&mut self, other: Self) {
        self.create.extend(other.create);
        self.update.extend(other.update);
        self.delete.extend(other.delete);
    }
}

fn plan_family(
    service: &Service,
    family: &str,
    slices: Vec<Arc<EndpointSlice>>,
    groups: &BTreeMap<PortsKey, Group>,
) -> Plan {
    let mut plan = Plan::default();
    let count = slices.len();
    let mut by_ports: BTreeMap<PortsKey, Vec<EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if is_owned(&slice, service) {
            by_ports
                .entry(ports_key(slice.ports.as_deref().unwrap_or_default()))
                .or_default()
                .push((*slice).clone());
        } else {
            plan.delete.push((*slice).clone());
        }
    }
    for (key, group) in groups {
        let existing = by_ports.remove(key).unwrap_or_default();
        plan.append(plan_group(service, family, existing, group));
    }
    plan.delete.extend(by_ports.into_values().flatten());
    if plan.delete.len() == count && plan.create.is_empty() {
        keep_placeholder(service, family, &mut plan);
    }
    reuse_deleted(service, &mut plan);
    plan
}

/// A Service without addresses has an empty slice, so that one can see that there are none.
fn keep_placeholder(service: &Service, family: &str, plan: &mut Plan) {
    let placeholder = new_slice(service, family, &[]);
    let is_placeholder = |slice: &EndpointSlice| {
        slice.endpoints.iter().flatten().next().is_none()
            && slice.ports.iter().flatten().next().is_none()
            && slice.labels() == placeholder.labels()
            && is_owned(slice, service)
    };
    match plan.delete.as_slice() {
        [only] if is_placeholder(only) => plan.delete.clear(),
        _ => plan.create.push(placeholder),
    }
}

/// A slice that would be deleted becomes one that would be created: one write less, and no moment
/// without addresses.
fn reuse_deleted(service: &Service, plan: &mut Plan) {
    let (reusable, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.delete)
        .into_iter()
        .partition(|slice| is_owned(slice, service));
    plan.delete = lost;
    for old in reusable {
        match plan.create.pop() {
            None => plan.delete.push(old),
            Some(mut slice) => {
                slice.metadata.generate_name = old.metadata.generate_name.clone();
                slice.metadata.name = old.metadata.name.clone();
                slice.metadata.uid = old.metadata.uid.clone();
                slice.metadata.resource_version = old.metadata.resource_version.clone();
                plan.update.push(slice);
            }
        }
    }
}

fn plan_group(
    service: &Service,
    family: &str,
    existing: Vec<EndpointSlice>,
    group: &Group,
) -> Plan {
    let mut left = group.endpoints.clone();
    let mut plan = Plan::default();
    let mut unchanged = Vec::new();
    for slice in existing {
        let labels = slice_labels(service);
        let had = slice.endpoints.clone().unwrap_or_default();
        let kept: Vec<Endpoint> = had
            .iter()
            .filter_map(|endpoint| left.remove(&endpoint_key(endpoint)))
            .collect();
        let relabelled = *slice.labels() != labels;
        let same =
            had.len() == kept.len() && had.iter().zip(&kept).all(|(had, kept)| is_same(had, kept));
        if same && !relabelled {
            unchanged.push(slice);
        } else if kept.is_empty() && !same {
            plan.delete.push(slice);
        } else {
            plan.update.push(with(slice, kept, labels));
        }
    }
    plan.update
        .sort_by_key(|slice| std::cmp::Reverse(len(slice)));
    plan.update
        .iter_mut()
        .for_each(|slice| fill(slice, &mut left));
    while !left.is_empty() {
        let fitting = if left.len() < ENDPOINTS_MAX {
            best_fit(&unchanged, left.len())
        } else {
            None
        };
        let fitting = fitting.map(|index| unchanged.remove(index));
        let is_new = fitting.is_none();
        let mut slice = fitting.unwrap_or_else(|| new_slice(service, family, &group.ports));
        fill(&mut slice, &mut left);
        if is_new {
            plan.create.push(slice)
        } else {
            plan.update.push(slice)
        }
    }
    plan
}

/// The slice that is fullest after it has taken so many more.
fn best_fit(slices: &[EndpointSlice], more: usize) -> Option<usize> {
    let fits = slices
        .iter()
        .enumerate()
        .filter(|(_, slice)| len(slice) + more <= ENDPOINTS_MAX);
    // An empty slice is no better than a new one.
    let fits = fits.filter(|(_, slice)| len(slice) > 0);
    fits.max_by_key(|(index, slice)| (len(slice), std::cmp::Reverse(*index)))
        .map(|(index, _)| index)
}

fn fill<K: Ord + Clone>(slice: &mut EndpointSlice, left: &mut BTreeMap<K, Endpoint>) {
    let endpoints = slice.endpoints.get_or_insert_default();
    while endpoints.len() < ENDPOINTS_MAX {
        match left.pop_first() {
            Some((_, endpoint)) => endpoints.push(endpoint),
            None => return,
        }
    }
}

fn with(slice: EndpointSlice, endpoints: Vec<Endpoint>, labels: Labels) -> EndpointSlice {
    let metadata = ObjectMeta {
        labels: Some(labels),
        ..slice.metadata
    };
    EndpointSlice {
        endpoints: Some(endpoints),
        metadata,
        ..slice
    }
}

fn len(slice: &EndpointSlice) -> usize {
    slice.endpoints.as_ref().map_or(0, Vec::len)
}

/// Whether two endpoints of the same pod and addresses say the same. Hints are not ours to compare.
fn is_same(one: &Endpoint, two: &Endpoint) -> bool {
    one.conditions == two.conditions
        && one.node_name == two.node_name
        && one.zone == two.zone
        && one.target_ref == two.target_ref
}

fn is_owned(slice: &EndpointSlice, service: &Service) -> bool {
    let is_service = |owner: &typed::meta::OwnerReference| {
        owner.uid == service.uid() && owner.kind == "Service" && owner.api_version == "v1"
    };
    slice.owner_references().iter().any(is_service)
}

fn new_slice(service: &Service, family: &str, ports: &[EndpointPort]) -> EndpointSlice {
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(Vec::new()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", service.name())),
            namespace: service.metadata.namespace.clone(),
            labels: Some(slice_labels(service)),
            owner_references: Some(vec![service.controller_reference()]),
            ..Default::default()
        },
        ports: Some(ports.to_vec()),
    }
}

/// The Service's labels and ours, which it cannot override.
fn slice_labels(service: &Service) -> Labels {
    let mut labels = service.labels().clone();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    labels.insert(SERVICE_NAME.to_owned(), service.name().to_owned());
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

fn note_trigger(slice: &mut EndpointSlice, trigger: Option<Timestamp>) {
    match trigger {
        Some(time) => drop(
            slice
                .annotations_mut()
                .insert(TRIGGER_TIME.to_owned(), format_trigger(time)),
        ),
        None => drop(
            slice
                .metadata
                .annotations
                .as_mut()
                .and_then(|annotations| annotations.remove(TRIGGER_TIME)),
        ),
    }
}
