//! Containers get the requests and limits of their namespace where they say
//! none, and stay within its bounds. Follows
//! plugin/pkg/admission/limitranger/admission.go.

use crate::{Operation, Plugin, Request, View};
use api::core::pod::amounts::{self, Amounts};
use async_trait::async_trait;
use meta::object::Object as _;
use meta::{Quantity, Status, Value};
use std::sync::Arc;

/// Tells which requests and limits are the plugin's.
const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(crate) struct LimitRanger;

#[async_trait]
impl Plugin for LimitRanger {
    fn name(&self) -> &'static str {
        "LimitRanger"
    }

    async fn mutate(
        &self,
        request: &Request<'_>,
        pod: &mut Value,
        _old: Option<&Value>,
        view: &dyn View,
    ) -> Result<(), Status> {
        for range in ranges(request, view).await? {
            fill(pod, &range);
        }
        Ok(())
    }

    async fn validate(
        &self,
        request: &Request<'_>,
        pod: &Value,
        _old: Option<&Value>,
        view: &dyn View,
        _warnings: &mut Vec<String>,
    ) -> Result<(), Status> {
        for range in ranges(request, view).await? {
            let mut wrong = Vec::new();
            for limit in range.items_at(&["spec", "limits"]) {
                check(limit, pod, &mut wrong);
            }
            if !wrong.is_empty() {
                return Err(request.forbidden(aggregate(wrong)));
            }
        }
        Ok(())
    }
}

/// The ranges that a request must heed.
async fn ranges(request: &Request<'_>, view: &dyn View) -> Result<Vec<Arc<Value>>, Status> {
    match request.is("", "pods") && request.operation == Operation::Create {
        true => view.list("", "limitranges", request.namespace).await,
        false => Ok(Vec::new()),
    }
}

/// As upstream prints several errors as one.
fn aggregate(mut errors: Vec<String>) -> String {
    let mut seen = std::collections::BTreeSet::new();
    errors.retain(|error| seen.insert(error.clone()));
    match &*errors {
        [one] => one.clone(),
        all => format!("[{}]", all.join(", ")),
    }
}

/// Gives containers what they do not say, and notes that on the pod.
fn fill(pod: &mut Value, range: &Value) {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for limit in range.items_at(&["spec", "limits"]) {
        if limit.str_at(&["type"]) == "Container" {
            requests.extend(amounts::read(limit.get("defaultRequest")));
            limits.extend(amounts::read(limit.get("default")));
        }
    }
    let mut notes = Vec::new();
    for (list, what) in [
        ("containers", "container"),
        ("initContainers", "init container"),
    ] {
        let containers = pod.at_mut(&["spec", list]).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            for (kind, word, given) in [
                ("requests", "request", &requests),
                ("limits", "limit", &limits),
            ] {
                let names = add_missing(container, kind, given);
                if !names.is_empty() {
                    let name = container.str_at(&["name"]);
                    notes.push(format!("{} {word} for {what} {name}", names.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        let annotations = pod.metadata_mut().object("annotations");
        annotations.insert(ANNOTATION, note);
    }
}

/// Adds to one list of a container what it does not name; says what that was.
fn add_missing(container: &mut Value, list: &str, given: &Amounts) -> Vec<String> {
    let mut added = Vec::new();
    for (name, quantity) in given {
        if container.at(&["resources", list, name]).is_none() {
            container.set_at(&["resources", list, name], quantity.to_string());
            added.push(name.clone());
        }
    }
    added
}

/// What of one item of a range a pod breaks.
fn check(limit: &Value, pod: &Value, wrong: &mut Vec<String>) {
    let bounds = Bounds {
        ty: limit.str_at(&["type"]),
        min: amounts::read(limit.get("min")),
        max: amounts::read(limit.get("max")),
        ratio: amounts::read(limit.get("maxLimitRequestRatio")),
    };
    match bounds.ty {
        "Container" => {
            let lists = ["containers", "initContainers"];
            for container in lists.iter().flat_map(|list| pod.items_at(&["spec", list])) {
                let requests = amounts::of_container(container, "requests");
                let limits = amounts::of_container(container, "limits");
                bounds.check(&requests, &limits, wrong);
            }
        }
        "Pod" => {
            let requests = amounts::of_containers(pod, "requests");
            let limits = amounts::of_containers(pod, "limits");
            bounds.check(&requests, &limits, wrong);
        }
        _ => {}
    }
}

/// What an item of a range demands.
struct Bounds<'a> {
    ty: &'a str,
    min: Amounts,
    max: Amounts,
    ratio: Amounts,
}

impl Bounds<'_> {
    fn check(&self, requests: &Amounts, limits: &Amounts, wrong: &mut Vec<String>) {
        let of = |name: &String| (requests.get(name).copied(), limits.get(name).copied());
        for (name, min) in &self.min {
            let (request, limit) = of(name);
            let start = format!("minimum {name} usage per {} is {min}", self.ty);
            wrong.extend(match (request, limit) {
                (None, _) => Some(format!("{start}.  No request is specified")),
                (Some(r), _) if r < *min => Some(format!("{start}, but request is {r}")),
                (_, Some(l)) if l < *min => Some(format!("{start}, but limit is {l}")),
                _ => None,
            });
        }
        for (name, max) in &self.max {
            let (request, limit) = of(name);
            let start = format!("maximum {name} usage per {} is {max}", self.ty);
            wrong.extend(match (request, limit) {
                (_, None) => Some(format!("{start}.  No limit is specified")),
                (_, Some(l)) if l > *max => Some(format!("{start}, but limit is {l}")),
                (Some(r), _) if r > *max => Some(format!("{start}, but request is {r}")),
                _ => None,
            });
        }
        for (name, ratio) in &self.ratio {
            let (request, limit) = of(name);
            let start = format!(
                "{name} max limit to request ratio per {} is {ratio}",
                self.ty
            );
            wrong.extend(excess(request, limit, *ratio).map(|why| format!("{start}, but {why}")));
        }
    }
}

fn excess(request: Option<Quantity>, limit: Option<Quantity>, ratio: Quantity) -> Option<String> {
    let Some(request) = request.filter(|request| !request.is_zero()) else {
        return Some("no request is specified or request is 0".into());
    };
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        return Some("no limit is specified or limit is 0".into());
    };
    let found = limit.as_f64() / request.as_f64();
    (found > ratio.as_f64()).then(|| format!("provided ratio is {found:.6}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Objects, create};
    use meta::value;

    fn range(limits: Value) -> Objects {
        let range =
            value!({"metadata": {"namespace": "ns", "name": "r"}, "spec": {"limits": limits}});
        Objects::default().with("limitranges", range)
    }

    async fn check(limits: Value, resources: Value, wanted: Result<&str, &str>) {
        let pod = value!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "resources": resources}],
        }});
        let found = create("pods", "ns", pod)
            .admit(&LimitRanger, &range(limits))
            .await;
        let found = found.map(|pod| {
            let container = &pod.items_at(&["spec", "containers"])[0];
            let note = pod.annotation(ANNOTATION).unwrap_or_default();
            format!(
                "{} {note}",
                container.get("resources").cloned().unwrap_or_default()
            )
        });
        let wanted = wanted.map(str::to_string);
        let wanted = wanted.map_err(|why| format!("pods \"p\" is forbidden: {why}"));
        assert_eq!(found.map_err(|status| status.message), wanted);
    }

    #[tokio::test]
    async fn containers_get_what_they_do_not_say() {
        let limits = || {
            value!([{
                "type": "Container", "default": {"cpu": "1", "memory": "1Gi"},
                "defaultRequest": {"cpu": "100m"},
            }])
        };
        check(
            limits(),
            value!({}),
            Ok("{\"limits\":{\"cpu\":\"1\",\"memory\":\"1Gi\"},\"requests\":{\"cpu\":\"100m\"}} LimitRanger plugin set: cpu request for container c; cpu, memory limit for container c"),
        )
        .await;
        check(
            limits(),
            value!({"requests": {"cpu": "2"}, "limits": {"cpu": "2", "memory": "1"}}),
            Ok("{\"limits\":{\"cpu\":\"2\",\"memory\":\"1\"},\"requests\":{\"cpu\":\"2\"}} "),
        )
        .await;
        check(value!([{"type": "Pod"}]), value!({}), Ok("{} ")).await;
    }

    #[tokio::test]
    async fn containers_stay_within_bounds() {
        let min = || value!([{"type": "Container", "min": {"cpu": "100m"}}]);
        check(
            min(),
            value!({}),
            Err("minimum cpu usage per Container is 100m.  No request is specified"),
        )
        .await;
        check(
            min(),
            value!({"requests": {"cpu": "50m"}}),
            Err("minimum cpu usage per Container is 100m, but request is 50m"),
        )
        .await;
        let max = || value!([{"type": "Pod", "max": {"cpu": "1", "memory": "1Gi"}}]);
        check(
            max(),
            value!({"limits": {"cpu": "1500m"}}),
            Err("[maximum cpu usage per Pod is 1, but limit is 1500m, maximum memory usage per Pod is 1Gi.  No limit is specified]"),
        )
        .await;
        let ratio = || value!([{"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}]);
        check(
            ratio(),
            value!({"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}}),
            Err(
                "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
            ),
        )
        .await;
        check(
            ratio(),
            value!({"limits": {"cpu": "300m"}}),
            Err("cpu max limit to request ratio per Container is 2, but no request is specified or request is 0"),
        )
        .await;
    }
}
