//! Deployments and all that make pods.

use super::writer::Writer;
use super::{Described, Error, pod, resource, text};
use jiff::Timestamp;
use meta::{LabelSelector, Value};

/// `1 Running / 0 Waiting / 0 Succeeded / 0 Failed`, of the pods that this
/// object controls.
async fn pods(it: &Described<'_>, selector: &LabelSelector) -> Result<String, Error> {
    let resource = resource("", "v1", "pods");
    let labels = selector.to_string();
    let listed = it.source.list(&resource, it.namespace(), &labels, "");
    let listed = listed.await?;
    let uid = it.object.str_at(&["metadata", "uid"]);
    let ours =
        |pod: &&Value| text::controller_ref(pod).is_some_and(|owner| owner.str_at(&["uid"]) == uid);
    let count = |phase: &str| {
        let ours = listed.iter().filter(ours);
        ours.filter(|pod| pod.str_at(&["status", "phase"]) == phase)
            .count()
    };
    Ok(format!(
        "{} Running / {} Waiting / {} Succeeded / {} Failed",
        count("Running"),
        count("Pending"),
        count("Succeeded"),
        count("Failed")
    ))
}

fn number(object: &Value, path: &[&str]) -> i64 {
    object.i64_at(path).unwrap_or_default()
}

/// The selector of a set's spec.
fn selector(it: &Described<'_>) -> LabelSelector {
    LabelSelector::from_object(it.object.at(&["spec", "selector"]))
}

fn current_and_desired(it: &Described<'_>, w: &mut Writer) {
    let current = number(it.object, &["status", "replicas"]);
    let desired = number(it.object, &["spec", "replicas"]);
    w.field(
        0,
        "Replicas",
        format!("{current} current / {desired} desired"),
    );
}

async fn template_and_events(it: &Described<'_>, w: &mut Writer) {
    pod::template(it.object.at(&["spec", "template"]), w);
    text::conditions(w, it.object);
    it.events(w).await;
}

pub(super) async fn replication_controller(
    it: &Described<'_>,
    w: &mut Writer,
) -> Result<(), Error> {
    let map = it.object.at(&["spec", "selector"]);
    let selector = map.map(LabelSelector::from_map).unwrap_or_default();
    let pods = pods(it, &selector).await?;
    it.head(w);
    w.field(0, "Selector", text::one_line(map));
    it.labels(w);
    it.annotations(w);
    current_and_desired(it, w);
    w.field(0, "Pods Status", pods);
    template_and_events(it, w).await;
    Ok(())
}

pub(super) async fn replica_set(it: &Described<'_>, w: &mut Writer) {
    it.head(w);
    let selected = it.object.at(&["spec", "selector"]);
    w.field(0, "Selector", text::selector(selected));
    it.labels(w);
    it.annotations(w);
    if let Some(owner) = text::controller(it.object) {
        w.field(0, "Controlled By", owner);
    }
    current_and_desired(it, w);
    let pods = match pods(it, &selector(it)).await {
        Ok(pods) => pods,
        Err(error) => format!("error in fetching pods: {error}"),
    };
    w.field(0, "Pods Status", pods);
    template_and_events(it, w).await;
}

pub(super) async fn daemon_set(it: &Described<'_>, w: &mut Writer) -> Result<(), Error> {
    let pods = pods(it, &selector(it)).await?;
    it.head(w);
    w.field(0, "Selector", selector(it));
    let nodes = it.object.at(&["spec", "template", "spec", "nodeSelector"]);
    w.field(0, "Node-Selector", text::one_line(nodes));
    it.labels(w);
    it.annotations(w);
    for (title, key) in [
        (
            "Desired Number of Nodes Scheduled",
            "desiredNumberScheduled",
        ),
        (
            "Current Number of Nodes Scheduled",
            "currentNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Up-to-date Pods",
            "updatedNumberScheduled",
        ),
        (
            "Number of Nodes Scheduled with Available Pods",
            "numberAvailable",
        ),
        ("Number of Nodes Misscheduled", "numberMisscheduled"),
    ] {
        let count = number(it.object, &["status", key]);
        w.line(0, &format!("{title}: {count}"));
    }
    w.field(0, "Pods Status", pods);
    pod::template(it.object.at(&["spec", "template"]), w);
    it.events(w).await;
    Ok(())
}

pub(super) async fn stateful_set(it: &Described<'_>, w: &mut Writer) -> Result<(), Error> {
    let pods = pods(it, &selector(it)).await?;
    it.head(w);
    created(it, w);
    w.field(0, "Selector", selector(it));
    it.labels(w);
    it.annotations(w);
    let desired = number(it.object, &["spec", "replicas"]);
    let total = number(it.object, &["status", "replicas"]);
    w.field(0, "Replicas", format!("{desired} desired | {total} total"));
    let strategy = ["spec", "updateStrategy", "type"];
    w.field(0, "Update Strategy", it.object.str_at(&strategy));
    let rolling = it.object.at(&["spec", "updateStrategy", "rollingUpdate"]);
    if let Some(partition) = rolling.and_then(|r| r.i64_at(&["partition"])) {
        w.field(1, "Partition", partition);
        let most = text::show(rolling.and_then(|r| r.get("maxUnavailable")));
        w.field_unless_empty(1, "MaxUnavailable", &most);
    }
    w.field(0, "Pods Status", pods);
    pod::template(it.object.at(&["spec", "template"]), w);
    claims(it.object, w);
    it.events(w).await;
    Ok(())
}

fn claims(object: &Value, w: &mut Writer) {
    let claims = object.items_at(&["spec", "volumeClaimTemplates"]);
    if claims.is_empty() {
        return w.field(0, "Volume Claims", "<none>");
    }
    w.line(0, "Volume Claims:");
    for claim in claims {
        w.field(1, "Name", claim.str_at(&["metadata", "name"]));
        w.field(
            1,
            "StorageClass",
            claim.str_at(&["spec", "storageClassName"]),
        );
        text::labels(w, "  ", "Labels", claim.at(&["metadata", "labels"]));
        text::labels(
            w,
            "  ",
            "Annotations",
            claim.at(&["metadata", "annotations"]),
        );
        let capacity = text::show(claim.at(&["spec", "resources", "requests", "storage"]));
        let capacity = if capacity.is_empty() {
            "<default>"
        } else {
            &capacity
        };
        w.field(1, "Capacity", capacity);
        let modes = text::strings(claim, &["spec", "accessModes"]).join(" ");
        w.field(1, "Access Modes", format!("[{modes}]"));
    }
}

fn created(it: &Described<'_>, w: &mut Writer) {
    let at = it.object.str_at(&["metadata", "creationTimestamp"]);
    w.field(0, "CreationTimestamp", text::time(at));
}

pub(super) async fn deployment(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    it.head(w);
    created(it, w);
    it.labels(w);
    it.annotations(w);
    w.field(0, "Selector", selector(it));
    let status = |key| number(object, &["status", key]);
    w.field(
        0,
        "Replicas",
        format!(
            "{} desired | {} updated | {} total | {} available | {} unavailable",
            number(object, &["spec", "replicas"]),
            status("updatedReplicas"),
            status("replicas"),
            status("availableReplicas"),
            status("unavailableReplicas"),
        ),
    );
    w.field(
        0,
        "StrategyType",
        object.str_at(&["spec", "strategy", "type"]),
    );
    w.field(
        0,
        "MinReadySeconds",
        number(object, &["spec", "minReadySeconds"]),
    );
    if let Some(rolling) = object.at(&["spec", "strategy", "rollingUpdate"]) {
        let [most_gone, most_more] =
            ["maxUnavailable", "maxSurge"].map(|key| text::show(rolling.get(key)));
        let limits = format!("{most_gone} max unavailable, {most_more} max surge");
        w.field(0, "RollingUpdateStrategy", limits);
    }
    pod::template(object.at(&["spec", "template"]), w);
    text::conditions(w, object);
    replica_sets(it, w).await;
    it.events(w).await;
}

async fn replica_sets(it: &Described<'_>, w: &mut Writer) {
    let resource = resource("apps", "v1", "replicasets");
    let labels = selector(it).to_string();
    let listed = it.source.list(&resource, it.namespace(), &labels, "");
    let mut sets = listed.await.unwrap_or_default();
    let uid = it.object.str_at(&["metadata", "uid"]);
    sets.retain(|set| text::controller_ref(set).is_some_and(|o| o.str_at(&["uid"]) == uid));
    if sets.is_empty() {
        return;
    }
    let template = it.object.at(&["spec", "template"]);
    let newest = sets
        .iter()
        .enumerate()
        .filter(|(_, set)| same_template(set.at(&["spec", "template"]), template))
        .min_by_key(|(_, set)| {
            let [created, name] =
                ["creationTimestamp", "name"].map(|key| set.str_at(&["metadata", key]));
            (created, name)
        })
        .map(|(i, _)| i);
    let text_of = |set: &Value| {
        let name = set.str_at(&["metadata", "name"]);
        let have = number(set, &["status", "replicas"]);
        let want = number(set, &["spec", "replicas"]);
        format!("{name} ({have}/{want} replicas created)")
    };
    let old = sets.iter().enumerate().filter(|(i, _)| Some(*i) != newest);
    let old: Vec<String> = old.map(|(_, set)| text_of(set)).collect();
    let new = newest.map(|i| text_of(&sets[i])).unwrap_or_default();
    w.field(0, "OldReplicaSets", text::or_none(&old.join(", ")));
    w.field(0, "NewReplicaSet", text::or_none(&new));
}

/// Whether two templates differ in the hash at most.
fn same_template(a: Option<&Value>, b: Option<&Value>) -> bool {
    let bare = |template: Option<&Value>| {
        let mut template = template.cloned().unwrap_or_default();
        template.remove_at(&["metadata", "labels", "pod-template-hash"]);
        template.remove_at(&["metadata", "creationTimestamp"]);
        template
    };
    bare(a) == bare(b)
}

pub(super) async fn job(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    it.head(w);
    w.field(0, "Selector", selector(it));
    it.labels(w);
    it.annotations(w);
    if let Some(owner) = text::controller(object) {
        w.field(0, "Controlled By", owner);
    }
    let spec = |key| text::show(object.at(&["spec", key]));
    w.field_unless_empty(0, "Parallelism", &spec("parallelism"));
    w.field(0, "Completions", unset(&spec("completions")));
    w.field_unless_empty(0, "Completion Mode", &spec("completionMode"));
    w.field_unless_empty(0, "Suspend", &spec("suspend"));
    w.field_unless_empty(0, "Backoff Limit", &spec("backoffLimit"));
    w.field_unless_empty(
        0,
        "TTL Seconds After Finished",
        &spec("ttlSecondsAfterFinished"),
    );
    job_times(object, w);
    let deadline = spec("activeDeadlineSeconds");
    if !deadline.is_empty() {
        w.field(0, "Active Deadline Seconds", format!("{deadline}s"));
    }
    let status = |key| number(object, &["status", key]);
    let ready = object.i64_at(&["status", "ready"]);
    let ready = ready.map(|n| format!(" ({n} Ready)")).unwrap_or_default();
    let (active, succeeded, failed) = (status("active"), status("succeeded"), status("failed"));
    let pods = format!("{active} Active{ready} / {succeeded} Succeeded / {failed} Failed");
    w.field(0, "Pods Statuses", pods);
    if spec("completionMode") == "Indexed" {
        let indexes = object.str_at(&["status", "completedIndexes"]);
        w.field(0, "Completed Indexes", shortened(indexes));
    }
    pod::template(object.at(&["spec", "template"]), w);
    it.events(w).await;
}

fn job_times(object: &Value, w: &mut Writer) {
    let started = object.str_at(&["status", "startTime"]);
    let completed = object.str_at(&["status", "completionTime"]);
    if !started.is_empty() {
        w.field(0, "Start Time", text::time(started));
    }
    if !completed.is_empty() {
        w.field(0, "Completed At", text::time(completed));
    }
    let times = (meta::time::parse(started), meta::time::parse(completed));
    if let (Some(started), Some(completed)) = times {
        let seconds = Timestamp::as_second(completed) - Timestamp::as_second(started);
        w.field(0, "Duration", api::print::human_duration(seconds));
    }
}

/// The first fifty characters of a list of indexes, up to a comma.
fn shortened(indexes: &str) -> String {
    match indexes.get(50..).and_then(|rest| rest.find(',')) {
        Some(at) => format!("{}...", &indexes[..=50 + at]),
        None => text::or_none(indexes).to_string(),
    }
}

fn unset(text: &str) -> &str {
    if text.is_empty() { "<unset>" } else { text }
}

pub(super) async fn cron_job(it: &Described<'_>, w: &mut Writer) {
    let object = it.object;
    let spec = |key| text::show(object.at(&["spec", key]));
    it.head(w);
    it.labels(w);
    it.annotations(w);
    w.field(0, "Schedule", spec("schedule"));
    w.field(0, "Concurrency Policy", spec("concurrencyPolicy"));
    let suspended = object.at(&["spec", "suspend"]).and_then(Value::as_bool);
    w.field(0, "Suspend", suspended.map_or("<unset>", text::truth));
    let kept = spec("successfulJobsHistoryLimit");
    w.field(0, "Successful Job History Limit", unset(&kept));
    let kept = spec("failedJobsHistoryLimit");
    w.field(0, "Failed Job History Limit", unset(&kept));
    let deadline = match spec("startingDeadlineSeconds").as_str() {
        "" => "<unset>".to_string(),
        seconds => format!("{seconds}s"),
    };
    w.field(0, "Starting Deadline Seconds", deadline);
    let job = object.at(&["spec", "jobTemplate", "spec"]);
    let of_job = |key| text::show(job.and_then(|job| job.get(key)));
    match job.and_then(|job| job.get("selector")) {
        Some(selector) => w.field(0, "Selector", LabelSelector::from_object(Some(selector))),
        None => w.field(0, "Selector", "<unset>"),
    }
    w.field(0, "Parallelism", unset(&of_job("parallelism")));
    w.field(0, "Completions", unset(&of_job("completions")));
    let deadline = of_job("activeDeadlineSeconds");
    if !deadline.is_empty() {
        w.field(0, "Active Deadline Seconds", format!("{deadline}s"));
    }
    pod::template(job.and_then(|job| job.get("template")), w);
    let last = object.str_at(&["status", "lastScheduleTime"]);
    let last = if last.is_empty() {
        "<unset>".to_string()
    } else {
        text::time(last)
    };
    w.field(0, "Last Schedule Time", last);
    let active = object.items_at(&["status", "active"]).iter();
    let active: Vec<&str> = active.map(|job| job.str_at(&["name"])).collect();
    w.field(0, "Active Jobs", text::or_none(&active.join(", ")));
    it.events(w).await;
}
