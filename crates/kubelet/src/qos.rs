//! Quality of service: who is guaranteed what, and who suffers first.
//!
//! Follows pkg/apis/core/v1/helper/qos/qos.go.

use typed::api::core::v1::Pod;

use crate::pod::{init_containers, spec};
use crate::resources::{Amounts, amounts, limits, requests};

/// The class of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Qos {
    /// Limits equal requests for CPU and memory everywhere.
    Guaranteed,
    /// Something is requested or limited.
    Burstable,
    /// Nothing is.
    BestEffort,
}

impl Qos {
    /// The spelling of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Qos::Guaranteed => "Guaranteed",
            Qos::Burstable => "Burstable",
            Qos::BestEffort => "BestEffort",
        }
    }

    /// The directory between `kubepods` and the pod; guaranteed pods have none.
    pub fn cgroup(self) -> Option<&'static str> {
        match self {
            Qos::Guaranteed => None,
            Qos::Burstable => Some("burstable"),
            Qos::BestEffort => Some("besteffort"),
        }
    }
}

/// The class of a pod, computed from what it asks for.
pub fn qos(pod: &Pod) -> Qos {
    let spec = spec(pod);
    let of_pod = spec.resources.as_ref().map(|resources| {
        (
            amounts(resources.requests.as_ref()),
            amounts(resources.limits.as_ref()),
        )
    });
    let asked: Vec<(Amounts, Amounts)> = match of_pod {
        Some(whole) if !(whole.0.is_empty() && whole.1.is_empty()) => vec![whole],
        _ => spec
            .containers
            .iter()
            .chain(init_containers(pod))
            .map(|container| (requests(container), limits(container)))
            .collect(),
    };
    let counts = |amounts: &Amounts| {
        ["cpu", "memory"]
            .iter()
            .any(|name| amounts.get(*name).is_some_and(|q| q.sign() > 0))
    };
    if !asked
        .iter()
        .any(|(requests, limits)| counts(requests) || counts(limits))
    {
        return Qos::BestEffort;
    }
    let guaranteed = |(requests, limits): &(Amounts, Amounts)| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = limits.get(*name).filter(|quantity| quantity.sign() > 0);
            // The API server copies a limit into an absent request.
            limit.is_some() && requests.get(*name).is_none_or(|wish| Some(wish) == limit)
        })
    };
    if asked.iter().all(guaranteed) {
        Qos::Guaranteed
    } else {
        Qos::Burstable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pod;
    use serde_json::{Value, json};

    #[test]
    fn classes() {
        let full = json!({"cpu": "1", "memory": "1Gi"});
        let case = |containers: Value| qos(&pod(json!({"containers": containers})));
        assert_eq!(case(json!([{"name": "a"}])), Qos::BestEffort);
        let guaranteed = json!({"name": "a", "resources": {"requests": full, "limits": full}});
        assert_eq!(case(json!([guaranteed])), Qos::Guaranteed);
        assert_eq!(case(json!([guaranteed, {"name": "b"}])), Qos::Burstable);
        let only_cpu = json!({"name": "a", "resources": {"limits": {"cpu": "1"}}});
        assert_eq!(case(json!([only_cpu])), Qos::Burstable);
        let other = json!({"name": "a", "resources": {"limits": {"example.com/x": "1"}}});
        assert_eq!(case(json!([other])), Qos::BestEffort);
    }
}
