//! Amounts of resources as integers, and what a pod asks for.
//!
//! Follows pkg/scheduler/framework/types.go (`Resource`) and
//! k8s.io/component-helpers/resource/helpers.go (`PodRequests`).

use std::collections::BTreeMap;

use meta::Quantity;
use typed::api::core::v1::{Container, ContainerStatus, Pod};

/// What a container without a request for CPU counts as when nodes are scored.
pub const DEFAULT_MILLI_CPU: i64 = 100;
/// What a container without a request for memory counts as when nodes are scored.
pub const DEFAULT_MEMORY: i64 = 200 * 1024 * 1024;

type List = BTreeMap<String, typed::Quantity>;

/// A vector of amounts. CPU is in thousandths, the rest in units or bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub milli_cpu: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of local disk.
    pub ephemeral_storage: i64,
    /// Everything else, sorted by name: huge pages and extended resources.
    pub scalars: Vec<(Box<str>, i64)>,
}

/// What a pod needs of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PodResources {
    /// What is taken from the node.
    pub requests: Resources,
    /// CPU for scoring, with a default for containers that ask for none.
    pub nonzero_milli_cpu: i64,
    /// Memory for scoring, likewise.
    pub nonzero_memory: i64,
}

/// Why an amount of an object cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?}, the quantity of {resource}")]
pub struct QuantityError {
    resource: String,
    text: String,
    #[source]
    source: meta::quantity::ParseError,
}

impl Resources {
    /// Reads a resource list; resources that no scheduler counts are left out.
    pub fn from_list(list: Option<&List>) -> Result<Self, QuantityError> {
        Ok(Sparse::read(list)?.into_resources())
    }

    /// The amount of a scalar resource.
    pub fn scalar(&self, name: &str) -> i64 {
        let found = self.scalars.iter().find(|(have, _)| **have == *name);
        found.map_or(0, |(_, amount)| *amount)
    }

    /// The amount of any resource.
    pub fn get(&self, name: &str) -> i64 {
        match name {
            "cpu" => self.milli_cpu,
            "memory" => self.memory,
            "ephemeral-storage" => self.ephemeral_storage,
            _ => self.scalar(name),
        }
    }

    /// Whether nothing is asked for.
    pub fn is_zero(&self) -> bool {
        self.milli_cpu == 0
            && self.memory == 0
            && self.ephemeral_storage == 0
            && self.scalars.iter().all(|(_, amount)| *amount == 0)
    }
}

impl PodResources {
    /// What a pod asks for, including init containers, sidecars, overhead,
    /// pod-level requests and, for a resized pod, what it still holds.
    pub fn of(pod: &Pod) -> Result<Self, QuantityError> {
        let requests = pod_requests(pod, Missing::default())?;
        let missing = missing_of(pod, &requests)?;
        let nonzero = pod_requests(pod, missing)?;
        Ok(Self {
            nonzero_milli_cpu: nonzero.cpu.unwrap_or_default(),
            nonzero_memory: nonzero.memory.unwrap_or_default(),
            requests: requests.into_resources(),
        })
    }
}

/// Amounts to assume of containers that state none.
#[derive(Clone, Copy, Default)]
struct Missing {
    cpu: Option<i64>,
    memory: Option<i64>,
}

/// Amounts that know absent from zero.
#[derive(Clone, Debug, Default)]
struct Sparse {
    cpu: Option<i64>,
    memory: Option<i64>,
    ephemeral_storage: Option<i64>,
    scalars: Vec<(Box<str>, i64)>,
}

fn missing_of(pod: &Pod, requests: &Sparse) -> Result<Missing, QuantityError> {
    let default = |set: bool, amount| (!set).then_some(amount);
    let pod_level = pod_level_requests(pod)?;
    let (cpu_set, memory_set) = match pod_level {
        None => (false, false),
        Some(_) => (
            requests.cpu.unwrap_or_default() != 0,
            requests.memory.unwrap_or_default() != 0,
        ),
    };
    Ok(Missing {
        cpu: default(cpu_set, DEFAULT_MILLI_CPU),
        memory: default(memory_set, DEFAULT_MEMORY),
    })
}

fn pod_requests(pod: &Pod, missing: Missing) -> Result<Sparse, QuantityError> {
    let mut requests = container_requests(pod, missing)?;
    if let Some(level) = pod_level_requests(pod)? {
        requests.replace(&level);
    }
    let overhead = pod.spec.as_ref().and_then(|spec| spec.overhead.as_ref());
    requests.add(&Sparse::read(overhead)?);
    Ok(requests)
}

/// Containers run together; init containers one after the other, beside the
/// sidecars that were started before them.
fn container_requests(pod: &Pod, missing: Missing) -> Result<Sparse, QuantityError> {
    let Some(spec) = &pod.spec else {
        return Ok(Sparse::default());
    };
    let statuses = Statuses::of(pod);
    let mut total = Sparse::default();
    for container in &spec.containers {
        let status = statuses.of_container(&container.name);
        total.add(&statuses.requests(container, status, missing)?);
    }
    let mut sidecars = Sparse::default();
    let mut peak = Sparse::default();
    for container in spec.init_containers.iter().flatten() {
        let status = statuses.of_init_container(&container.name);
        let mut own = statuses.requests(container, status, missing)?;
        if is_sidecar(container) {
            total.add(&own);
            sidecars.add(&own);
            own = sidecars.clone();
        } else {
            own.add(&sidecars);
        }
        peak.max(&own);
    }
    total.max(&peak);
    Ok(total)
}

/// Whether an init container keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The requests of the pod as a whole, if it states any that may be stated there.
fn pod_level_requests(pod: &Pod) -> Result<Option<Sparse>, QuantityError> {
    let resources = pod.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let Some(requests) = resources.and_then(|resources| resources.requests.as_ref()) else {
        return Ok(None);
    };
    let allowed = |name: &str| matches!(name, "cpu" | "memory") || name.starts_with("hugepages-");
    let list: List = requests
        .iter()
        .filter(|(name, _)| allowed(name))
        .map(|(name, quantity)| (name.clone(), quantity.clone()))
        .collect();
    if list.is_empty() {
        return Ok(None);
    }
    Sparse::read(Some(&list)).map(Some)
}

/// What the kubelet says of a pod's containers: a pod that is being resized
/// holds the larger of what it had and what it shall have.
struct Statuses<'a> {
    pod: &'a Pod,
    resize_infeasible: bool,
}

impl<'a> Statuses<'a> {
    fn of(pod: &'a Pod) -> Self {
        let status = pod.status.as_ref();
        let conditions = status.and_then(|status| status.conditions.as_deref());
        let resize_infeasible = conditions.unwrap_or_default().iter().any(|condition| {
            condition.type_ == "PodResizePending"
                && condition.reason.as_deref() == Some("Infeasible")
        });
        Self {
            pod,
            resize_infeasible,
        }
    }

    fn of_container(&self, name: &str) -> Option<&'a ContainerStatus> {
        let statuses = self.pod.status.as_ref()?.container_statuses.as_deref()?;
        statuses.iter().find(|status| status.name == name)
    }

    fn of_init_container(&self, name: &str) -> Option<&'a ContainerStatus> {
        let statuses = self
            .pod
            .status
            .as_ref()?
            .init_container_statuses
            .as_deref()?;
        statuses.iter().find(|status| status.name == name)
    }

    fn requests(
        &self,
        container: &Container,
        status: Option<&ContainerStatus>,
        missing: Missing,
    ) -> Result<Sparse, QuantityError> {
        let wanted = container.resources.as_ref();
        let mut requests = Sparse::read(wanted.and_then(|wanted| wanted.requests.as_ref()))?;
        let actual = status
            .and_then(|status| status.resources.as_ref())
            .and_then(|actual| actual.requests.as_ref());
        if let Some(actual) = actual {
            let actual = Sparse::read(Some(actual))?;
            if self.resize_infeasible {
                requests = actual;
            } else {
                requests.max(&actual);
            }
            let allocated = status.and_then(|status| status.allocated_resources.as_ref());
            requests.max(&Sparse::read(allocated)?);
        }
        requests.cpu = requests.cpu.or(missing.cpu);
        requests.memory = requests.memory.or(missing.memory);
        Ok(requests)
    }
}

impl Sparse {
    fn read(list: Option<&List>) -> Result<Self, QuantityError> {
        let mut amounts = Self::default();
        for (name, quantity) in list.into_iter().flatten() {
            let parse = || {
                let parsed: Result<Quantity, _> = quantity.0.parse();
                parsed.map_err(|source| QuantityError {
                    resource: name.clone(),
                    text: quantity.0.clone(),
                    source,
                })
            };
            match name.as_str() {
                "cpu" => amounts.cpu = Some(parse()?.milli_value()),
                "memory" => amounts.memory = Some(parse()?.value()),
                "ephemeral-storage" => amounts.ephemeral_storage = Some(parse()?.value()),
                name if is_scalar(name) => {
                    amounts.scalars.push((name.into(), parse()?.value()));
                }
                _ => {}
            }
        }
        Ok(amounts)
    }

    fn add(&mut self, other: &Self) {
        self.combine(other, i64::saturating_add);
    }

    fn max(&mut self, other: &Self) {
        self.combine(other, i64::max);
    }

    fn replace(&mut self, other: &Self) {
        self.combine(other, |_, theirs| theirs);
    }

    fn combine(&mut self, other: &Self, how: impl Fn(i64, i64) -> i64) {
        let both = |ours: &mut Option<i64>, theirs: Option<i64>| {
            *ours = match (*ours, theirs) {
                (Some(ours), Some(theirs)) => Some(how(ours, theirs)),
                (ours, theirs) => theirs.or(ours),
            };
        };
        both(&mut self.cpu, other.cpu);
        both(&mut self.memory, other.memory);
        both(&mut self.ephemeral_storage, other.ephemeral_storage);
        for (name, theirs) in &other.scalars {
            match self.scalars.binary_search_by(|(have, _)| have.cmp(name)) {
                Ok(at) => self.scalars[at].1 = how(self.scalars[at].1, *theirs),
                Err(at) => self.scalars.insert(at, (name.clone(), *theirs)),
            }
        }
    }

    fn into_resources(self) -> Resources {
        Resources {
            milli_cpu: self.cpu.unwrap_or_default(),
            memory: self.memory.unwrap_or_default(),
            ephemeral_storage: self.ephemeral_storage.unwrap_or_default(),
            scalars: self.scalars,
        }
    }
}

/// Whether a resource is one that nodes are compared by, beyond the well-known.
fn is_scalar(name: &str) -> bool {
    name.starts_with("hugepages-") || name.starts_with("attachable-volumes-") || name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PodBuilder, pod};

    fn check(pod: PodBuilder, cpu: i64, memory: i64, nonzero: (i64, i64)) {
        let got = PodResources::of(&pod.build()).unwrap();
        assert_eq!((got.requests.milli_cpu, got.requests.memory), (cpu, memory));
        assert_eq!((got.nonzero_milli_cpu, got.nonzero_memory), nonzero);
    }

    #[test]
    fn containers_add_up_and_init_containers_are_a_peak() {
        check(
            pod("a")
                .init("cpu=2,memory=1G")
                .init("cpu=2,memory=3G")
                .container("cpu=2,memory=1G")
                .container("cpu=1,memory=1G"),
            3000,
            3_000_000_000,
            (3000, 3_000_000_000),
        );
    }

    #[test]
    fn sidecars_run_beside_what_comes_after_them() {
        check(
            pod("a")
                .init("cpu=1,memory=100")
                .sidecar("cpu=1,memory=100")
                .init("cpu=3,memory=100")
                .container("cpu=2,memory=300"),
            4000,
            400,
            (4000, 400),
        );
    }

    #[test]
    fn absent_requests_count_for_scores_and_zero_requests_do_not() {
        check(
            pod("a").container("").container("cpu=50m"),
            50,
            0,
            (150, 2 * DEFAULT_MEMORY),
        );
        check(pod("a").container("cpu=0,memory=0"), 0, 0, (0, 0));
    }

    #[test]
    fn overhead_and_pod_level_requests() {
        check(
            pod("a")
                .container("cpu=1,memory=10")
                .overhead("cpu=250m,memory=5"),
            1250,
            15,
            (1250, 15),
        );
        check(
            pod("a").container("cpu=1,memory=10").pod_level("cpu=3"),
            3000,
            10,
            (3000, 10),
        );
        check(
            pod("a").container("").pod_level("cpu=3"),
            3000,
            0,
            (3000, DEFAULT_MEMORY),
        );
    }

    #[test]
    fn scalars_are_sorted_and_unknown_resources_left_out() {
        let pod = pod("a").container("example.com/gpu=2,hugepages-2Mi=4Mi,storage=1Gi");
        let got = PodResources::of(&pod.build()).unwrap().requests;
        assert_eq!(
            got.scalars,
            [
                ("example.com/gpu".into(), 2),
                ("hugepages-2Mi".into(), 4 << 20)
            ]
        );
        assert!(!got.is_zero());
    }

    #[test]
    fn a_resized_pod_holds_the_larger_amount() {
        let mut pod = pod("a").container("cpu=1,memory=10").build();
        let requests = |text: &str| {
            let pod = crate::testing::pod("b").container(text).build();
            pod.spec.unwrap().containers.remove(0).resources
        };
        let status = ContainerStatus {
            name: pod.spec.as_ref().unwrap().containers[0].name.clone(),
            resources: requests("cpu=2,memory=5"),
            ..Default::default()
        };
        pod.status.get_or_insert_default().container_statuses = Some(vec![status]);
        let got = PodResources::of(&pod).unwrap().requests;
        assert_eq!((got.milli_cpu, got.memory), (2000, 10));
    }

    #[test]
    fn a_quantity_that_is_none_is_refused() {
        let error = PodResources::of(&pod("a").container("cpu=fast").build()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read \"fast\", the quantity of cpu"
        );
    }
}
