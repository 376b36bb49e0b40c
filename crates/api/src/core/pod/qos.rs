//! How well a pod is served when its node runs short: what follows from its
//! requests and limits. Follows pkg/apis/core/helper/qos/qos.go.

use meta::{Quantity, Value};
use std::collections::BTreeMap;

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn class(pod: &Value) -> &'static str {
    let (mut requests, mut limits) = (Sums::new(), Sums::new());
    let mut all_limited = true;
    for list in ["containers", "initContainers"] {
        for container in pod.items_at(&["spec", list]) {
            add(container, "requests", &mut requests);
            all_limited &= add(container, "limits", &mut limits) == 2;
        }
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if all_limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

type Sums<'a> = BTreeMap<&'a str, Quantity>;

/// Adds a container's cpu and memory; says how many of the two it names.
fn add<'a>(container: &'a Value, list: &str, sums: &mut Sums<'a>) -> usize {
    let mut named = 0;
    for name in ["cpu", "memory"] {
        let text = container.str_at(&["resources", list, name]);
        let quantity = text.parse().unwrap_or_else(|_| Quantity::default());
        if quantity.sign() > 0 {
            named += 1;
            let sum = sums.entry(name).or_default();
            *sum = *sum + quantity;
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use meta::{Value, value};

    #[test]
    fn the_class_follows_from_requests_and_limits() {
        let both = || value!({"cpu": "1", "memory": "1Gi"});
        for (resources, class) in [
            (value!({}), "BestEffort"),
            (value!({"limits": {"cpu": "0"}}), "BestEffort"),
            (value!({"requests": {"cpu": "100m"}}), "Burstable"),
            (value!({"limits": both(), "requests": both()}), "Guaranteed"),
            (
                value!({"limits": both(), "requests": {"cpu": "1"}}),
                "Burstable",
            ),
            (
                value!({"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}),
                "Burstable",
            ),
        ] {
            let container: Value = value!({ "name": "a", "resources": resources });
            let pod = value!({"spec": {"containers": [container]}});
            assert_eq!(super::class(&pod), class, "{pod}");
        }
    }
}
