//! What pods ask for and may use, and the kernel limits that follow.
//!
//! Follows component-helpers/resource/helpers.go for the sums and
//! pkg/kubelet/cm/helpers_linux.go for the limits.

use std::collections::BTreeMap;

use container::config::Resources;
use meta::Quantity;
use typed::api::core::v1::{Container, Pod, ResourceRequirements};

use crate::pod::{init_containers, is_sidecar, spec};
use crate::qos::{Qos, qos};

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

type Wire = BTreeMap<String, typed::Quantity>;

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const CPU_PERIOD_US: i64 = 100_000;
const CPU_QUOTA_MIN_US: i64 = 1_000;
const CPU_SHARES_MIN: u64 = 2;
const CPU_SHARES_MAX: u64 = 262_144;

/// Reads amounts; what is not a quantity cannot come from the API and is left out.
pub fn amounts(wire: Option<&Wire>) -> Amounts {
    wire.into_iter()
        .flatten()
        .filter_map(|(name, quantity)| Some((name.clone(), quantity.0.parse().ok()?)))
        .collect()
}

/// The requests of a container.
pub fn requests(container: &Container) -> Amounts {
    amounts(required(container).and_then(|resources| resources.requests.as_ref()))
}

/// The limits of a container.
pub fn limits(container: &Container) -> Amounts {
    amounts(required(container).and_then(|resources| resources.limits.as_ref()))
}

fn required(container: &Container) -> Option<&ResourceRequirements> {
    container.resources.as_ref()
}

/// What the whole pod asks for: the larger of what runs together and what
/// initialisation needs at any moment, then what the pod itself says, and its overhead.
pub fn pod_requests(pod: &Pod) -> Amounts {
    total(pod, requests, |resources| resources.requests.as_ref())
}

/// What the whole pod may use, counted in the same way.
pub fn pod_limits(pod: &Pod) -> Amounts {
    total(pod, limits, |resources| resources.limits.as_ref())
}

fn total(
    pod: &Pod,
    of: fn(&Container) -> Amounts,
    own: fn(&ResourceRequirements) -> Option<&Wire>,
) -> Amounts {
    let spec = spec(pod);
    let mut sum = Amounts::new();
    for container in &spec.containers {
        add(&mut sum, &of(container));
    }
    let mut sidecars = Amounts::new();
    let mut peak = Amounts::new();
    for container in init_containers(pod) {
        let amounts = of(container);
        if is_sidecar(container) {
            add(&mut sum, &amounts);
            add(&mut sidecars, &amounts);
            raise(&mut peak, &sidecars);
        } else {
            let mut during = sidecars.clone();
            add(&mut during, &amounts);
            raise(&mut peak, &during);
        }
    }
    raise(&mut sum, &peak);
    let whole = amounts(spec.resources.as_ref().and_then(own));
    sum.extend(whole);
    let overhead = amounts(spec.overhead.as_ref());
    if !sum.is_empty() || !overhead.is_empty() {
        add(&mut sum, &overhead);
    }
    sum
}

/// Adds `more` to `sum`.
pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, quantity) in more {
        let entry = sum.entry(name.clone()).or_default();
        *entry = *entry + *quantity;
    }
}

fn raise(peak: &mut Amounts, candidate: &Amounts) {
    for (name, quantity) in candidate {
        let entry = peak.entry(name.clone()).or_insert(*quantity);
        *entry = (*entry).max(*quantity);
    }
}

/// CPU shares for a request in thousandths of a core.
pub fn cpu_shares(milli: i64) -> u64 {
    let shares = u64::try_from(milli).unwrap_or(0).saturating_mul(1024) / 1000;
    shares.clamp(CPU_SHARES_MIN, CPU_SHARES_MAX)
}

/// Microseconds of CPU per period of 100 ms for a limit; none without a limit.
pub fn cpu_quota(milli: i64) -> Option<i64> {
    (milli > 0).then(|| (milli.saturating_mul(CPU_PERIOD_US) / 1000).max(CPU_QUOTA_MIN_US))
}

/// How the node treats memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeMemory {
    /// All of it.
    pub bytes: u64,
    /// Whose limits are in force.
    pub cgroup_version: u8,
}

/// The kernel limits of one container.
pub fn container_limits(pod: &Pod, container: &Container, node: NodeMemory) -> Resources {
    let (requests, limits) = (requests(container), limits(container));
    let milli = |amounts: &Amounts| amounts.get(CPU).map(|quantity| quantity.milli_value());
    let limit = milli(&limits).filter(|milli| *milli > 0);
    let request = milli(&requests).or(limit).unwrap_or(0);
    Resources {
        memory_limit_bytes: bytes(&limits, MEMORY),
        cpu_shares: Some(cpu_shares(request)),
        cpu_quota_us: limit.and_then(cpu_quota),
        cpu_period_us: limit.map(|_| CPU_PERIOD_US as u64),
        hugepage_limits: hugepages(&limits),
        oom_score_adj: Some(oom_score_adj(pod, container, node.bytes)),
        unified: if node.cgroup_version == 2 {
            // All of a container is killed, not one of its processes.
            BTreeMap::from([("memory.oom.group".to_owned(), "1".to_owned())])
        } else {
            BTreeMap::new()
        },
        ..Resources::default()
    }
}

/// The kernel limits of the pod's cgroup.
///
/// A limit on the whole pod exists only where every container has one, or the
/// pod itself says so.
pub fn pod_cgroup_limits(pod: &Pod, pids_limit: Option<i64>) -> Resources {
    let (requests, limits) = (pod_requests(pod), pod_limits(pod));
    let own = amounts(
        spec(pod)
            .resources
            .as_ref()
            .and_then(|resources| resources.limits.as_ref()),
    );
    let all_have = |name: &str| {
        let sidecars = init_containers(pod)
            .iter()
            .filter(|container| is_sidecar(container));
        own.contains_key(name)
            || spec(pod)
                .containers
                .iter()
                .chain(sidecars)
                .all(|container| {
                    self::limits(container)
                        .get(name)
                        .is_some_and(|quantity| quantity.sign() > 0)
                })
    };
    let request = requests.get(CPU).or(limits.get(CPU));
    let quota = limits
        .get(CPU)
        .filter(|_| all_have(CPU))
        .and_then(|quantity| cpu_quota(quantity.milli_value()));
    Resources {
        memory_limit_bytes: bytes(&limits, MEMORY).filter(|_| all_have(MEMORY)),
        cpu_shares: Some(match qos(pod) {
            Qos::BestEffort => CPU_SHARES_MIN,
            _ => cpu_shares(request.map_or(0, |quantity| quantity.milli_value())),
        }),
        cpu_quota_us: quota,
        cpu_period_us: quota.map(|_| CPU_PERIOD_US as u64),
        pids_limit,
        hugepage_limits: hugepages(&limits),
        ..Resources::default()
    }
}

fn bytes(amounts: &Amounts, name: &str) -> Option<i64> {
    amounts
        .get(name)
        .map(|quantity| quantity.value())
        .filter(|bytes| *bytes > 0)
}

/// `hugepages-2Mi` becomes `2MB`, as the kernel's files are named.
fn hugepages(limits: &Amounts) -> BTreeMap<String, u64> {
    let pages = limits.iter().filter_map(|(name, quantity)| {
        let size = name.strip_prefix("hugepages-")?;
        let size = size.strip_suffix('i')?;
        let limit = u64::try_from(quantity.value()).ok()?;
        Some((format!("{size}B"), limit))
    });
    pages.collect()
}

/// How readily the out-of-memory killer takes a container.
///
/// Follows pkg/kubelet/qos/policy.go, GetContainerOOMScoreAdjust.
pub fn oom_score_adj(pod: &Pod, container: &Container, node_memory: u64) -> i32 {
    const GUARANTEED: i32 = -997;
    const BEST_EFFORT: i32 = 1000;
    if crate::admission::is_critical(pod) {
        return GUARANTEED;
    }
    match qos(pod) {
        Qos::Guaranteed => GUARANTEED,
        Qos::BestEffort => BEST_EFFORT,
        Qos::Burstable => {
            let own = score(container, node_memory);
            if !is_sidecar(container) {
                return own;
            }
            // A sidecar must not be killed before the containers that it serves.
            let served = spec(pod)
                .containers
                .iter()
                .map(|container| score(container, node_memory));
            served.min().map_or(own, |least| least.min(own))
        }
    }
}

fn score(container: &Container, node_memory: u64) -> i32 {
    let request = requests(container)
        .get(MEMORY)
        .map_or(0, |quantity| quantity.value());
    let share = i128::from(request) * 1000 / i128::from(node_memory.max(1));
    i32::try_from(1000 - share).unwrap_or(3).clamp(3, 999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::json;

    const GIB: u64 = 1 << 30;

    fn one(resources: serde_json::Value) -> Pod {
        pod(json!({"containers": [{"name": "a", "resources": resources}]}))
    }

    #[test]
    fn requests_become_shares_and_limits_become_quota() {
        let limits = |resources| {
            let pod = one(resources);
            let node = NodeMemory {
                bytes: 4 * GIB,
                cgroup_version: 1,
            };
            container_limits(&pod, &spec(&pod).containers[0], node)
        };
        let none = limits(json!({}));
        assert_eq!((none.cpu_shares, none.cpu_quota_us), (Some(2), None));
        assert_eq!(none.oom_score_adj, Some(1000));
        let both = limits(json!({
            "requests": {"cpu": "250m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "2Gi"}
        }));
        assert_eq!(both.cpu_shares, Some(256));
        assert_eq!(
            (both.cpu_quota_us, both.cpu_period_us),
            (Some(50_000), Some(100_000))
        );
        assert_eq!(both.memory_limit_bytes, Some(2 << 30));
        assert_eq!(both.oom_score_adj, Some(750));
        let tiny = limits(json!({"limits": {"cpu": "5m"}}));
        assert_eq!((tiny.cpu_shares, tiny.cpu_quota_us), (Some(5), Some(1_000)));
    }

    #[test]
    fn the_pod_is_limited_only_if_all_its_containers_are() {
        let pod = pod(json!({"containers": [
            {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}},
            {"name": "b", "resources": {"limits": {"memory": "1Gi"}}},
        ]}));
        let limits = pod_cgroup_limits(&pod, Some(100));
        assert_eq!(limits.memory_limit_bytes, Some(2 << 30));
        assert_eq!((limits.cpu_quota_us, limits.pids_limit), (None, Some(100)));
    }

    #[test]
    fn init_containers_count_at_their_peak() {
        let request = |cpu: &str| json!({"requests": {"cpu": cpu}});
        let pod = pod(json!({
            "initContainers": [
                {"name": "first", "resources": request("3")},
                {"name": "side", "restartPolicy": "Always", "resources": request("1")},
                {"name": "second", "resources": request("500m")},
            ],
            "containers": [{"name": "a", "resources": request("1")}],
            "overhead": {"cpu": "100m"},
        }));
        assert_eq!(pod_requests(&pod)["cpu"].milli_value(), 3100);
    }
}
