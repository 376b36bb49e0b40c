//! Nodes with their pods.

use super::resources::{self, Amounts, quantity};
use super::writer::Writer;
use super::{Described, Error, events, resource, text};
use meta::{Map, Quantity, Value};

pub(super) async fn node(it: &Described<'_>, w: &mut Writer) -> Result<(), Error> {
    let pods = pods(it).await?;
    let node = it.object;
    w.field(0, "Name", it.name());
    let roles = roles(node);
    w.field(0, "Roles", text::or_none(&roles));
    it.labels(w);
    it.annotations(w);
    let created = node.str_at(&["metadata", "creationTimestamp"]);
    w.field(0, "CreationTimestamp", text::time(created));
    taints(node, w);
    w.field(
        0,
        "Unschedulable",
        node.is_true_at(&["spec", "unschedulable"]),
    );
    lease(it, w).await;
    conditions(node, w);
    w.line(0, "Addresses:");
    for address in node.items_at(&["status", "addresses"]) {
        w.field(1, address.str_at(&["type"]), address.str_at(&["address"]));
    }
    for (title, key) in [("Capacity:", "capacity"), ("Allocatable:", "allocatable")] {
        let map = node.at(&["status", key]).and_then(Value::as_object);
        if map.is_some_and(|map| !map.is_empty()) {
            w.line(0, title);
        }
        for (name, amount) in map.into_iter().flat_map(Map::iter) {
            w.field(1, name, text::show(Some(amount)));
        }
    }
    system(node, w);
    match pods {
        Some(pods) => {
            table(it, &pods, w);
            totals(node, &pods, w);
        }
        None => w.field(0, "Pods", "not authorized"),
    }
    node_events(it, w).await;
    Ok(())
}

/// The pods that run on the node; nothing when they may not be seen.
async fn pods(it: &Described<'_>) -> Result<Option<Vec<Value>>, Error> {
    let fields = format!(
        "spec.nodeName={},status.phase!=Succeeded,status.phase!=Failed",
        it.name()
    );
    match it
        .source
        .list(&resource("", "v1", "pods"), "", "", &fields)
        .await
    {
        Ok(pods) => Ok(Some(pods)),
        Err(Error::Api(status)) if status.code == 403 => Ok(None),
        Err(error) => Err(error),
    }
}

fn roles(node: &Value) -> String {
    let labels = node.at(&["metadata", "labels"]).and_then(Value::as_object);
    let mut roles: Vec<&str> = labels
        .into_iter()
        .flat_map(Map::iter)
        .filter_map(
            |(key, value)| match key.strip_prefix("node-role.kubernetes.io/") {
                Some(role) => Some(role),
                None => value.as_str().filter(|_| key == "kubernetes.io/role"),
            },
        )
        .filter(|role| !role.is_empty())
        .collect();
    roles.sort_unstable();
    roles.dedup();
    roles.join(",")
}

fn taints(node: &Value, w: &mut Writer) {
    let mut taints: Vec<&Value> = node.items_at(&["spec", "taints"]).iter().collect();
    taints.sort_by_key(|taint| (taint.str_at(&["effect"]), taint.str_at(&["key"])));
    w.put(0, "Taints:\t");
    if taints.is_empty() {
        return w.line(0, "<none>");
    }
    for (i, taint) in taints.into_iter().enumerate() {
        if i > 0 {
            w.put(0, "\t");
        }
        let [key, value, effect] = ["key", "value", "effect"].map(|name| taint.str_at(&[name]));
        let equals = if value.is_empty() { "" } else { "=" };
        let colon = if effect.is_empty() { "" } else { ":" };
        w.line(0, &format!("{key}{equals}{value}{colon}{effect}"));
    }
}

async fn lease(it: &Described<'_>, w: &mut Writer) {
    let leases = resource("coordination.k8s.io", "v1", "leases");
    match it.source.get(&leases, "kube-node-lease", it.name()).await {
        Err(error) => w.field(0, "Lease", format!("Failed to get lease: {error}")),
        Ok(lease) => {
            let or_unset = |key: &str| match lease.str_at(&["spec", key]) {
                "" => "<unset>".to_string(),
                value if key.ends_with("Time") => text::time(value),
                value => value.to_string(),
            };
            w.line(0, "Lease:");
            w.field(1, "HolderIdentity", or_unset("holderIdentity"));
            w.field(1, "AcquireTime", or_unset("acquireTime"));
            w.field(1, "RenewTime", or_unset("renewTime"));
        }
    }
}

fn conditions(node: &Value, w: &mut Writer) {
    let conditions = node.items_at(&["status", "conditions"]);
    if conditions.is_empty() {
        return;
    }
    w.line(0, "Conditions:");
    w.line(
        1,
        "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
    );
    w.line(
        1,
        "----\t------\t-----------------\t------------------\t------\t-------",
    );
    for c in conditions {
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|key| c.str_at(&[key]));
        let [beat, changed] =
            ["lastHeartbeatTime", "lastTransitionTime"].map(|key| text::time(c.str_at(&[key])));
        let row = format!("{kind} \t{status} \t{beat} \t{changed} \t{reason} \t{message}");
        w.line(1, &row);
    }
}

fn system(node: &Value, w: &mut Writer) {
    w.line(0, "System Info:");
    for (title, key) in [
        ("Machine ID", "machineID"),
        ("System UUID", "systemUUID"),
        ("Boot ID", "bootID"),
        ("Kernel Version", "kernelVersion"),
        ("OS Image", "osImage"),
        ("Operating System", "operatingSystem"),
        ("Architecture", "architecture"),
        ("Container Runtime Version", "containerRuntimeVersion"),
        ("Kubelet Version", "kubeletVersion"),
        ("Kube-Proxy Version", "kubeProxyVersion"),
    ] {
        w.field(1, title, node.str_at(&["status", "nodeInfo", key]));
    }
    let spec = |key| node.str_at(&["spec", key]);
    w.field_unless_empty(0, "PodCIDR", spec("podCIDR"));
    let ranges = text::strings(node, &["spec", "podCIDRs"]).join(",");
    w.field_unless_empty(0, "PodCIDRs", &ranges);
    w.field_unless_empty(0, "ProviderID", spec("providerID"));
}

/// What the node can give.
fn allocatable<'a>(node: &'a Value, name: &str) -> Option<&'a Value> {
    let key = match node.at(&["status", "allocatable"]) {
        Some(map) if !map.is_empty() => "allocatable",
        _ => "capacity",
    };
    node.at(&["status", key, name])
}

/// `100m (5%)`
fn share(node: &Value, amounts: &Amounts, name: &str) -> String {
    let amount = amounts.get(name).copied().unwrap_or_default();
    let whole = quantity(allocatable(node, name));
    let measure = |q: Quantity| match name {
        "cpu" => q.milli_value(),
        _ => q.value(),
    };
    let percent = match measure(whole) {
        0 => 0,
        whole => (measure(amount) as f64 / whole as f64 * 100.0) as i64,
    };
    format!("{amount} ({percent}%)")
}

fn table(it: &Described<'_>, pods: &[Value], w: &mut Writer) {
    w.line(
        0,
        &format!("Non-terminated Pods:\t({} in total)", pods.len()),
    );
    w.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    w.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    for pod in pods {
        let [requests, limits] = ["requests", "limits"].map(|key| resources::of_pod(pod, key));
        let [namespace, name, created] =
            ["namespace", "name", "creationTimestamp"].map(|key| pod.str_at(&["metadata", key]));
        let cells = [
            share(it.object, &requests, "cpu"),
            share(it.object, &limits, "cpu"),
            share(it.object, &requests, "memory"),
            share(it.object, &limits, "memory"),
            text::age(created, it.source.now()),
        ];
        w.line(1, &format!("{namespace}\t{name}\t\t{}", cells.join("\t")));
    }
}

fn totals(node: &Value, pods: &[Value], w: &mut Writer) {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for pod in pods {
        resources::add(&mut requests, &resources::of_pod(pod, "requests"));
        resources::add(&mut limits, &resources::of_pod(pod, "limits"));
    }
    w.line(0, "Allocated resources:");
    w.line(
        1,
        "(Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    w.line(1, "Resource\tRequests\tLimits");
    w.line(1, "--------\t--------\t------");
    let both = |name: &str| {
        let (asked, most) = (share(node, &requests, name), share(node, &limits, name));
        format!("{name}\t{asked}\t{most}")
    };
    const USUAL: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
    for name in USUAL {
        w.line(1, &both(name));
    }
    let key = match node.at(&["status", "allocatable"]) {
        Some(map) if !map.is_empty() => "allocatable",
        _ => "capacity",
    };
    let map = node.at(&["status", key]).and_then(Value::as_object);
    let names: Vec<&str> = map
        .into_iter()
        .flat_map(Map::keys)
        .map(|name| name.as_str())
        .filter(|name| !USUAL.contains(name) && *name != "pods")
        .collect();
    for name in names.iter().filter(|name| name.starts_with("hugepages-")) {
        w.line(1, &both(name));
    }
    for name in names.iter().filter(|name| !name.starts_with("hugepages-")) {
        let [asked, most] =
            [&requests, &limits].map(|all| all.get(*name).copied().unwrap_or_default());
        w.line(1, &format!("{name}\t{asked}\t{most}"));
    }
}

/// Events name a node by its uid, or by its name in place of the uid.
async fn node_events(it: &Described<'_>, w: &mut Writer) {
    if !it.settings.show_events {
        return;
    }
    let uid = it.object.str_at(&["metadata", "uid"]);
    let mut found = events::search(it, "Node", uid).await.unwrap_or_default();
    found.extend(
        events::search(it, "Node", it.name())
            .await
            .unwrap_or_default(),
    );
    events::print(found, it.source.now(), w);
}
