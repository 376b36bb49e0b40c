//! What a pod asks for and may have as a whole: its containers together, or
//! its dearest init container. Follows
//! staging/src/k8s.io/component-helpers/resource/helpers.go.

use meta::{Quantity, Value};
use std::collections::BTreeMap;

/// Quantities by the name of what they are of.
pub type Amounts = BTreeMap<String, Quantity>;

/// What the pod asks for, with its overhead.
pub fn requests(pod: &Value) -> Amounts {
    let mut requests = of_containers(pod, "requests");
    add(&mut requests, &read(pod.at(&["spec", "overhead"])));
    requests
}

/// What the pod may have. Overhead counts where there is a limit at all.
pub fn limits(pod: &Value) -> Amounts {
    let mut limits = of_containers(pod, "limits");
    for (name, overhead) in read(pod.at(&["spec", "overhead"])) {
        if let Some(limit) = limits.get_mut(&name).filter(|limit| !limit.is_zero()) {
            *limit = *limit + overhead;
        }
    }
    limits
}

/// The sum over containers and sidecars, or what an init container needs
/// beside the sidecars that run already, where that is more.
pub fn of_containers(pod: &Value, list: &str) -> Amounts {
    let mut sum = Amounts::new();
    for container in pod.items_at(&["spec", "containers"]) {
        add(&mut sum, &of_container(container, list));
    }
    let (mut sidecars, mut peak) = (Amounts::new(), Amounts::new());
    for container in pod.items_at(&["spec", "initContainers"]) {
        let own = of_container(container, list);
        if container.str_at(&["restartPolicy"]) == "Always" {
            add(&mut sum, &own);
            add(&mut sidecars, &own);
            raise(&mut peak, &sidecars);
        } else {
            let mut beside = own;
            add(&mut beside, &sidecars);
            raise(&mut peak, &beside);
        }
    }
    raise(&mut sum, &peak);
    sum
}

/// One list of one container.
pub fn of_container(container: &Value, list: &str) -> Amounts {
    read(container.at(&["resources", list]))
}

/// A list of resources as it stands in an object; what is no quantity is left
/// out, which validation has refused before.
pub fn read(list: Option<&Value>) -> Amounts {
    let entries = list.and_then(Value::as_object).into_iter();
    let entries = entries.flat_map(|map| map.iter());
    let quantity = |value: &Value| value.as_str()?.parse::<Quantity>().ok();
    entries
        .filter_map(|(name, value)| Some((name.to_string(), quantity(value)?)))
        .collect()
}

/// As it stands in an object.
pub fn write(amounts: &Amounts) -> Value {
    let entries = amounts.iter();
    let map: meta::Map = entries
        .map(|(name, quantity)| (name.as_str(), quantity.to_string()))
        .collect();
    Value::Object(map)
}

/// Adds one to the other.
pub fn add(sum: &mut Amounts, other: &Amounts) {
    for (name, quantity) in other {
        match sum.get_mut(name) {
            Some(known) => *known = *known + *quantity,
            None => drop(sum.insert(name.clone(), *quantity)),
        }
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, quantity) in other {
        match most.get_mut(name) {
            Some(known) if *known >= *quantity => {}
            _ => drop(most.insert(name.clone(), *quantity)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn a_pod_needs_its_containers_or_its_dearest_start() {
        let with = |cpu: &str| value!({"resources": {"requests": {"cpu": cpu}}});
        let sidecar = |cpu: &str| {
            let mut container = with(cpu);
            container.set_at(&["restartPolicy"], "Always");
            container
        };
        let pod = value!({"spec": {
            "containers": [with("100m"), with("200m"), {}],
            "initContainers": [with("1"), sidecar("50m"), with("400m")],
            "overhead": {"cpu": "10m", "memory": "1Mi"},
        }});
        let shown = |amounts: Amounts| write(&amounts).to_json();
        assert_eq!(shown(requests(&pod)), r#"{"cpu":"1010m","memory":"1Mi"}"#);
        let mut cheap = pod.clone();
        cheap.set_at(
            &["spec", "initContainers"],
            value!([sidecar("50m"), with("400m")]),
        );
        assert_eq!(shown(requests(&cheap)), r#"{"cpu":"460m","memory":"1Mi"}"#);
        assert_eq!(shown(limits(&pod)), "{}");
    }
}
