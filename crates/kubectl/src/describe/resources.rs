//! What pods ask for.

use meta::{Map, Quantity, Value};
use std::collections::BTreeMap;

/// Amounts by resource.
pub(super) type Amounts = BTreeMap<String, Quantity>;

/// A quantity; zero when it is none.
pub(super) fn quantity(value: Option<&Value>) -> Quantity {
    let text = match value {
        Some(Value::String(text)) => text.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Quantity::default(),
    };
    text.parse().unwrap_or_default()
}

fn amounts(map: Option<&Value>) -> Amounts {
    let entries = map.and_then(Value::as_object).into_iter();
    entries
        .flat_map(Map::iter)
        .map(|(name, value)| (name.to_string(), quantity(Some(value))))
        .collect()
}

/// Adds amounts to others.
pub(super) fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let total = sum.get(name).map(|have| *have + *amount);
        sum.insert(name.clone(), total.unwrap_or(*amount));
    }
}

fn raise(sum: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let have = sum.entry(name.clone()).or_insert(*amount);
        if *have < *amount {
            *have = *amount;
        }
    }
}

/// What a pod requests, or is limited to: the sum of its containers, or what
/// its init containers need at once if that is more.
pub(super) fn of_pod(pod: &Value, key: &str) -> Amounts {
    let of = |container: &Value| amounts(container.at(&["resources", key]));
    let mut sum = Amounts::new();
    for container in pod.items_at(&["spec", "containers"]) {
        add(&mut sum, &of(container));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in pod.items_at(&["spec", "initContainers"]) {
        let needs = of(container);
        if container.str_at(&["restartPolicy"]) == "Always" {
            add(&mut sum, &needs);
            add(&mut sidecars, &needs);
            raise(&mut most, &sidecars);
        } else {
            let mut at_once = sidecars.clone();
            add(&mut at_once, &needs);
            raise(&mut most, &at_once);
        }
    }
    raise(&mut sum, &most);
    let mut overhead = amounts(pod.at(&["spec", "overhead"]));
    if key == "limits" {
        overhead.retain(|name, _| sum.contains_key(name));
    }
    add(&mut sum, &overhead);
    sum
}

/// A resource of a container as its environment sees it.
pub(super) fn of_container(container: &Value, resource: &str, divisor: &str) -> String {
    let (list, name) = resource.split_once('.').unwrap_or_default();
    let amount = quantity(container.at(&["resources", list, name]));
    let divisor: Quantity = divisor.parse().unwrap_or_default();
    let divisor = match divisor.is_zero() {
        true => Quantity::from_units(1),
        false => divisor,
    };
    let (amount, divisor) = match name {
        "cpu" => (amount.milli_value(), divisor.milli_value()),
        _ => (amount.value(), divisor.value()),
    };
    let rounded_up = (amount + divisor.max(1) - 1) / divisor.max(1);
    rounded_up.to_string()
}

/// The class that a pod's requests and limits give it.
pub(super) fn qos_class(pod: &Value) -> String {
    match pod.str_at(&["status", "qosClass"]) {
        "" => computed_class(pod).to_string(),
        class => class.to_string(),
    }
}

fn computed_class(pod: &Value) -> &'static str {
    let lists = ["containers", "initContainers"].map(|key| pod.items_at(&["spec", key]));
    let containers: Vec<&Value> = lists.into_iter().flatten().collect();
    let get = |c: &Value, list: &str, name: &str| quantity(c.at(&["resources", list, name]));
    let asks = |c: &&Value| {
        let any = |list| ["cpu", "memory"].iter().any(|n| !get(c, list, n).is_zero());
        any("requests") || any("limits")
    };
    let guaranteed = |c: &&Value| {
        ["cpu", "memory"].iter().all(|name| {
            let (request, limit) = (get(c, "requests", name), get(c, "limits", name));
            !limit.is_zero() && (request.is_zero() || request == limit)
        })
    };
    if !containers.iter().any(|c| asks(c)) {
        "BestEffort"
    } else if containers.iter().all(|c| guaranteed(c)) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}
