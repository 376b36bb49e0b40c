//! `pods/eviction`: a pod goes when the budget of its application allows.
//! Follows pkg/registry/core/pod/storage/eviction.go.

use super::admit;
use crate::answer::Answer;
use crate::request::Query;
use crate::server::Server;
use crate::stack::Request;
use crate::verbs::with_warnings;
use crate::{negotiate, options, present};
use api::Door;
use auth::User;
use http::StatusCode;
use meta::object::Object as _;
use meta::{GroupResource, GroupVersionKind, LabelSelector, Reason, Status, Value, value};
use registry::{Aim, Call, DeleteOptions, Resource, Selection, decode};
use std::sync::Arc;

/// The most pods that a budget may wait for to go.
const DISRUPTED_MAX: usize = 2000;
/// How often a pod that changes meanwhile is looked at anew.
const TRIES: usize = 20;
const REFUSED: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
const SEVERAL: &str = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";

pub(super) async fn serve(
    server: &Arc<Server>,
    pods: &Arc<Resource>,
    request: Request,
) -> Result<Answer, Status> {
    let form = negotiate::plain(&request.headers);
    let mut call = options::write(&request)?;
    let mut eviction = read(&request)?;
    admit(server, &call, &request, &mut eviction).await?;
    let none = Value::object();
    let body = eviction.get("deleteOptions").unwrap_or(&none);
    let delete = options::delete(&Query::default(), Some(body), &mut call)?;
    let own = User::new("system:apiserver", &["system:masters"]);
    let mut loopback = Call::new(&own);
    loopback.manager = "kube-apiserver".into();
    loopback.dry_run = call.dry_run;
    let evict = Evict {
        server,
        pods,
        call: &call,
        loopback: &loopback,
        namespace: &request.info.namespace,
        name: &request.info.name,
        options: delete,
    };
    evict.run().await?;
    let success = value!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    let answer = present::written(form, StatusCode::CREATED, &success);
    Ok(with_warnings(answer, &call))
}

fn read(request: &Request) -> Result<Value, Status> {
    let schema = &api::generated::policy_v1::EVICTION;
    let format = negotiate::content(&request.headers)?;
    let mut eviction = decode::tree(&request.body, format, "Eviction", schema)?;
    codec::conform(&mut eviction, schema).map_err(|why| {
        Status::bad_request(format!(
            "Eviction in version \"v1\" cannot be handled as a Eviction: {why}"
        ))
    })?;
    eviction.set_gvk(&GroupVersionKind::new("policy", "v1", "Eviction"));
    let info = &request.info;
    match (eviction.name(), eviction.namespace()) {
        (name, _) if name != info.name => Err(Status::bad_request(
            "name in URL does not match name in Eviction object",
        )),
        (_, namespace) if !namespace.is_empty() && namespace != info.namespace => {
            Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ))
        }
        _ => Ok(eviction),
    }
}

/// One eviction.
struct Evict<'a> {
    server: &'a Arc<Server>,
    pods: &'a Resource,
    call: &'a Call<'a>,
    /// The server's own: budgets and conditions are not the client's to write.
    loopback: &'a Call<'a>,
    namespace: &'a str,
    name: &'a str,
    options: DeleteOptions,
}

impl Evict<'_> {
    async fn run(&self) -> Result<(), Status> {
        let registry = &self.server.registry;
        let mut tries = 0;
        let pod = loop {
            let pod = registry
                .get_value(self.pods, self.namespace, self.name)
                .await?;
            if !may_go_anyway(&pod) {
                break pod;
            }
            let mut options = self.options.clone();
            if is_pending(&pod) && options.resource_version.is_none() {
                options.resource_version = Some(pod.resource_version().into());
            }
            let deleted =
                registry.delete(self.call, self.pods, self.namespace, self.name, &options);
            tries += 1;
            match deleted.await {
                Err(status) if self.may_try_again(&status, tries) => {}
                outcome => return outcome.map(drop),
            }
        };
        let Some(budget) = self.budget(&pod).await? else {
            return self.delete(None, &pod).await;
        };
        if may_go_unready(&budget, &pod) {
            let outcome = self.delete(Some(pod.resource_version()), &pod).await;
            return outcome.map_err(|status| match status.reason {
                Reason::Conflict if self.options.resource_version.is_none() => {
                    still_processed(budget.name())
                }
                _ => status,
            });
        }
        self.spend(budget.name()).await?;
        self.delete(None, &pod).await
    }

    fn may_try_again(&self, status: &Status, tries: usize) -> bool {
        let insists = self.options.resource_version.is_some();
        status.reason == Reason::Conflict && !insists && tries < TRIES
    }

    /// The budget that the pod falls under.
    async fn budget(&self, pod: &Value) -> Result<Option<Value>, Status> {
        let registry = &self.server.registry;
        let Some(budgets) = registry.any_version("policy", "poddisruptionbudgets") else {
            return Ok(None);
        };
        let all = Selection::of_namespace(self.namespace);
        let mut found = Vec::new();
        for stored in registry.list_now(&budgets, &all).await? {
            let budget = registry.serve(&budgets, &stored)?;
            let selector = LabelSelector::from_object(budget.at(&["spec", "selector"]));
            if selector.matches_value(pod.labels()) {
                found.push(budget);
            }
        }
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(Status::new(Reason::Unknown, SEVERAL)),
        }
    }

    /// Takes one disruption from the budget and notes for whom.
    async fn spend(&self, budget: &str) -> Result<(), Status> {
        let registry = &self.server.registry;
        let group = GroupResource::new("policy", "poddisruptionbudgets");
        let Some(budgets) = registry.any_version("policy", "poddisruptionbudgets") else {
            return Err(Status::not_found(&group, budget));
        };
        let now = meta::time::seconds(registry.clock().wall());
        let change = |old: Option<&Value>| match old {
            Some(old) => spent(old, self.name, &now),
            None => Err(Status::not_found(&group, budget)),
        };
        let written = registry.update(self.loopback, &budgets, self.aim(budget), &change);
        match written.await {
            Err(status) if status.reason == Reason::Conflict => Err(Status::new(
                Reason::Timeout,
                format!(
                    "Timeout: couldn't update PodDisruptionBudget \"{budget}\" due to conflicts"
                ),
            )
            .retry_after(10)),
            outcome => outcome.map(drop),
        }
    }

    fn aim<'n>(&'n self, name: &'n str) -> Aim<'n> {
        Aim {
            namespace: self.namespace,
            name,
            door: Door::Status,
            owns_fields: false,
            follows: true,
            may_create: false,
        }
    }

    /// Says on the pod why it goes, and lets it go. With a version only if it
    /// is still at it.
    async fn delete(&self, version: Option<&str>, seen: &Value) -> Result<(), Status> {
        let registry = &self.server.registry;
        let mut options = self.options.clone();
        let insisted = options.resource_version.as_deref().or(version);
        let insisted = insisted.map(str::to_string);
        let group = self.pods.card().group_resource();
        let now = meta::time::seconds(registry.clock().wall());
        let uid = options.uid.clone();
        let change = |old: Option<&Value>| {
            let old = old.ok_or_else(|| Status::not_found(&group, self.name))?;
            let moved = |what: &str, wanted: &str, found: &str| {
                let why = format!(
                    "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
                );
                Err(Status::conflict(&group, self.name, why))
            };
            match (&uid, &insisted) {
                (Some(uid), _) if uid != old.uid() => moved("UID", uid, old.uid()),
                (_, Some(version)) if version != old.resource_version() => {
                    moved("ResourceVersion", version, old.resource_version())
                }
                _ => Ok(marked(old, &now)),
            }
        };
        let marked = registry.update(self.loopback, self.pods, self.aim(self.name), &change);
        let marked = marked.await?.into_object(self.pods)?;
        if insisted.is_some() && !self.call.dry_run {
            options.resource_version = Some(marked.resource_version().into());
        }
        if options.uid.is_none() {
            options.uid = Some(seen.uid().into());
        }
        let deleted = registry.delete(self.call, self.pods, self.namespace, self.name, &options);
        deleted.await.map(drop)
    }
}

/// Pods that have ended, never began, or are on their way out disrupt nobody.
fn may_go_anyway(pod: &Value) -> bool {
    let phase = pod.str_at(&["status", "phase"]);
    matches!(phase, "Succeeded" | "Failed" | "Pending") || pod.is_deleting()
}

/// Whether the pod may become ready before it is deleted.
fn is_pending(pod: &Value) -> bool {
    pod.str_at(&["status", "phase"]) == "Pending" && !pod.is_deleting()
}

fn is_ready(pod: &Value) -> bool {
    let ready = |c: &Value| c.str_at(&["type"]) == "Ready" && c.str_at(&["status"]) == "True";
    pod.items_at(&["status", "conditions"]).iter().any(ready)
}

/// A pod that is not ready may go without a disruption being spent, when the
/// budget says so or has enough of others; but only as long as it is not ready.
fn may_go_unready(budget: &Value, pod: &Value) -> bool {
    let count = |key| budget.i64_at(&["status", key]).unwrap_or(0);
    let always = budget.str_at(&["spec", "unhealthyPodEvictionPolicy"]) == "AlwaysAllow";
    let desired = count("desiredHealthy");
    let enough = count("currentHealthy") >= desired && desired > 0;
    !is_ready(pod) && (always || enough)
}

fn too_many(why: String) -> Status {
    Status::new(Reason::TooManyRequests, REFUSED).cause("DisruptionBudget", why, "")
}

fn still_processed(budget: &str) -> Status {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    too_many(why).retry_after(10)
}

/// The budget with one disruption less.
fn spent(budget: &Value, pod: &str, now: &str) -> Result<Value, Status> {
    let name = budget.name();
    let count = |key| budget.i64_at(&["status", key]).unwrap_or(0);
    let forbidden = |why: &str| {
        let resource = GroupResource::new("policy", "poddisruptionbudget");
        Err(Status::forbidden(&resource, name, why))
    };
    if count("observedGeneration") < budget.generation() {
        return Err(still_processed(name));
    }
    let allowed = count("disruptionsAllowed");
    if allowed < 0 {
        return forbidden("pdb disruptions allowed is negative");
    }
    let disrupted = budget.at(&["status", "disruptedPods"]);
    let disrupted = disrupted
        .and_then(Value::as_object)
        .map_or(0, |pods| pods.len());
    if disrupted > DISRUPTED_MAX {
        return forbidden(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        );
    }
    if allowed == 0 {
        return Err(too_many(exhausted(budget)));
    }
    let mut budget = budget.clone();
    let status = budget.make_object().object("status");
    status.insert("disruptionsAllowed", allowed - 1);
    status.object("disruptedPods").insert(pod, now);
    if allowed == 1 {
        insufficient(&mut budget, now);
    }
    Ok(budget)
}

fn exhausted(budget: &Value) -> String {
    let name = budget.name();
    let mut conditions = budget.items_at(&["status", "conditions"]).iter();
    let failed = conditions.find(|c| {
        c.str_at(&["type"]) == "DisruptionAllowed" && c.str_at(&["reason"]) == "SyncFailed"
    });
    if let Some(failed) = failed {
        let why = failed.str_at(&["message"]);
        return format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {why}"
        );
    }
    let count = |key| budget.i64_at(&["status", key]).unwrap_or(0);
    format!(
        "The disruption budget {name} needs {} healthy pods and has {} currently",
        count("desiredHealthy"),
        count("currentHealthy")
    )
}

/// Says in the condition that nothing more may be disrupted.
fn insufficient(budget: &mut Value, now: &str) {
    let observed = budget
        .i64_at(&["status", "observedGeneration"])
        .unwrap_or(0);
    let status = budget.make_object().object("status");
    let conditions = status.entry("conditions").make_array();
    let known = conditions
        .iter_mut()
        .find(|c| c.str_at(&["type"]) == "DisruptionAllowed");
    match known {
        Some(condition) => {
            if condition.str_at(&["status"]) != "False" {
                condition.set_at(&["lastTransitionTime"], now);
            }
            condition.set_at(&["status"], "False");
            condition.set_at(&["reason"], "InsufficientPods");
            condition.set_at(&["message"], "");
            condition.set_at(&["observedGeneration"], observed);
        }
        None => conditions.push(value!({
            "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
            "message": "", "observedGeneration": observed, "lastTransitionTime": now,
        })),
    }
}

/// The pod with the condition that tells why it goes.
fn marked(pod: &Value, now: &str) -> Value {
    let mut pod = pod.clone();
    let mark = value!({
        "type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting", "lastTransitionTime": now,
    });
    let status = pod.make_object().object("status");
    let conditions = status.entry("conditions").make_array();
    match conditions
        .iter_mut()
        .find(|c| c.str_at(&["type"]) == "DisruptionTarget")
    {
        Some(known) if known.str_at(&["status"]) == "True" => {}
        Some(known) => *known = mark,
        None => conditions.push(mark),
    }
    pod
}
