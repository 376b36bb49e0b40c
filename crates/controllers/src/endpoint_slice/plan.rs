//! How to get from the slices that are to the addresses that should be with few writes. Follows
//! staging/src/k8s.io/endpointslice/reconciler.go.

use super::desired::{Desired, Group, PortsKey, endpoint_key, ports_key};
use crate::services::{TRIGGER_TIME, format_trigger};
use std::collections::BTreeMap;
use std::sync::Arc;
use stdx::Timestamp;
use typed::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use typed::meta::{ObjectMeta, OwnerReference};
use typed::{Labels, Typed};

/// What all slices of one owner have in common.
pub(crate) struct Template {
    /// The namespace.
    pub(crate) namespace: String,
    /// The names' prefix.
    pub(crate) prefix: String,
    /// The labels.
    pub(crate) labels: Labels,
    /// The annotations, if they follow something.
    pub(crate) annotations: Option<Labels>,
    /// Whose they are.
    pub(crate) owner: OwnerReference,
    /// Whether nothing new is made, as the owner shall go.
    pub(crate) is_ending: bool,
    /// Whether an empty slice says that there are no addresses.
    pub(crate) has_placeholder: bool,
    /// The most endpoints of a slice.
    pub(crate) endpoints_max: usize,
}

/// What to write.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) create: Vec<EndpointSlice>,
    pub(crate) update: Vec<EndpointSlice>,
    pub(crate) delete: Vec<EndpointSlice>,
}

/// Compares an owner's slices with the addresses that it should have.
pub(crate) fn plan(
    template: &Template,
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
        plan.append(plan_family(template, family, own.collect(), groups));
    }
    if template.is_ending {
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
    template: &Template,
    family: &str,
    slices: Vec<Arc<EndpointSlice>>,
    groups: &BTreeMap<PortsKey, Group>,
) -> Plan {
    let mut plan = Plan::default();
    let count = slices.len();
    let mut by_ports: BTreeMap<PortsKey, Vec<EndpointSlice>> = BTreeMap::new();
    for slice in slices {
        if is_owned(&slice, template) {
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
        plan.append(plan_group(template, family, existing, group));
    }
    plan.delete.extend(by_ports.into_values().flatten());
    if template.has_placeholder && plan.delete.len() == count && plan.create.is_empty() {
        keep_placeholder(template, family, &mut plan);
    }
    reuse_deleted(template, &mut plan);
    plan
}

/// A Service without addresses has an empty slice, so that one can see that there are none.
fn keep_placeholder(template: &Template, family: &str, plan: &mut Plan) {
    let placeholder = new_slice(template, family, &[]);
    let is_placeholder = |slice: &EndpointSlice| {
        slice.endpoints.iter().flatten().next().is_none()
            && slice.ports.iter().flatten().next().is_none()
            && slice.labels() == placeholder.labels()
            && is_owned(slice, template)
    };
    match plan.delete.as_slice() {
        [only] if is_placeholder(only) => plan.delete.clear(),
        _ => plan.create.push(placeholder),
    }
}

/// A slice that would be deleted becomes one that would be created: one write less, and no moment
/// without addresses.
fn reuse_deleted(template: &Template, plan: &mut Plan) {
    let (reusable, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut plan.delete)
        .into_iter()
        .partition(|slice| is_owned(slice, template));
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
    template: &Template,
    family: &str,
    existing: Vec<EndpointSlice>,
    group: &Group,
) -> Plan {
    let mut left = group.endpoints.clone();
    let mut plan = Plan::default();
    let mut unchanged = Vec::new();
    for slice in existing {
        let had = slice.endpoints.clone().unwrap_or_default();
        let kept: Vec<Endpoint> = had
            .iter()
            .filter_map(|endpoint| left.remove(&endpoint_key(endpoint)))
            .collect();
        let relabelled = !has_metadata(&slice, template);
        let same =
            had.len() == kept.len() && had.iter().zip(&kept).all(|(had, kept)| is_same(had, kept));
        if same && !relabelled {
            unchanged.push(slice);
        } else if kept.is_empty() && !same {
            plan.delete.push(slice);
        } else {
            plan.update.push(with(slice, kept, template));
        }
    }
    plan.update
        .sort_by_key(|slice| std::cmp::Reverse(len(slice)));
    plan.update
        .iter_mut()
        .for_each(|slice| fill(slice, &mut left, template.endpoints_max));
    while !left.is_empty() {
        let fitting = if left.len() < template.endpoints_max {
            best_fit(&unchanged, left.len(), template.endpoints_max)
        } else {
            None
        };
        let fitting = fitting.map(|index| unchanged.remove(index));
        let is_new = fitting.is_none();
        let mut slice = fitting.unwrap_or_else(|| new_slice(template, family, &group.ports));
        fill(&mut slice, &mut left, template.endpoints_max);
        if is_new {
            plan.create.push(slice)
        } else {
            plan.update.push(slice)
        }
    }
    plan
}

/// The slice that is fullest after it has taken so many more.
fn best_fit(slices: &[EndpointSlice], more: usize, most: usize) -> Option<usize> {
    let fits = slices
        .iter()
        .enumerate()
        .filter(|(_, slice)| len(slice) + more <= most);
    // An empty slice is no better than a new one.
    let fits = fits.filter(|(_, slice)| len(slice) > 0);
    fits.max_by_key(|(index, slice)| (len(slice), std::cmp::Reverse(*index)))
        .map(|(index, _)| index)
}

fn fill<K: Ord + Clone>(slice: &mut EndpointSlice, left: &mut BTreeMap<K, Endpoint>, most: usize) {
    let endpoints = slice.endpoints.get_or_insert_default();
    while endpoints.len() < most {
        match left.pop_first() {
            Some((_, endpoint)) => endpoints.push(endpoint),
            None => return,
        }
    }
}

fn with(mut slice: EndpointSlice, endpoints: Vec<Endpoint>, template: &Template) -> EndpointSlice {
    slice.endpoints = Some(endpoints);
    slice.metadata.labels = Some(template.labels.clone());
    if let Some(annotations) = &template.annotations {
        slice.metadata.annotations = Some(annotations.clone());
    }
    slice
}

/// Whether labels and annotations are as they should be.
fn has_metadata(slice: &EndpointSlice, template: &Template) -> bool {
    let mut annotations = slice.annotations().clone();
    annotations.remove(TRIGGER_TIME);
    *slice.labels() == template.labels
        && template
            .annotations
            .as_ref()
            .is_none_or(|wanted| *wanted == annotations)
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

fn is_owned(slice: &EndpointSlice, template: &Template) -> bool {
    let wanted = &template.owner;
    let is_wanted = |owner: &OwnerReference| {
        owner.uid == wanted.uid
            && owner.kind == wanted.kind
            && owner.api_version == wanted.api_version
    };
    slice.owner_references().iter().any(is_wanted)
}

fn new_slice(template: &Template, family: &str, ports: &[EndpointPort]) -> EndpointSlice {
    EndpointSlice {
        address_type: family.to_owned(),
        endpoints: Some(Vec::new()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", template.prefix)),
            namespace: Some(template.namespace.clone()),
            labels: Some(template.labels.clone()),
            annotations: template.annotations.clone(),
            owner_references: Some(vec![template.owner.clone()]),
            ..Default::default()
        },
        ports: Some(ports.to_vec()),
    }
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
