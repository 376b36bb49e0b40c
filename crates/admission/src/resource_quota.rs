//! What an object uses is charged to the quotas of its namespace, and refused
//! where that is too much. Follows
//! staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go.
//!
//! Unlike upstream, which writes the new usage first and the object later, the
//! registry writes both in one transaction: nothing is charged for what is not
//! kept, and nothing is kept that is not charged. So this is no plugin of the
//! chain, but a function that the registry calls after it.

use crate::{Operation, Request};
use api::core::pod::amounts::{self, Amounts};
use api::core::resourcequota::usage;
use jiff::Timestamp;
use meta::object::Object as _;
use meta::{Quantity, Status, Value};
use std::collections::BTreeSet;

/// Whether a request can change what a namespace uses.
pub fn concerns(request: &Request<'_>) -> bool {
    let changes = match request.operation {
        Operation::Create => true,
        // Of a pod nothing that is measured changes; services change type.
        Operation::Update => request.is("", "services"),
        Operation::Delete | Operation::Connect => false,
    };
    changes
        && !request.namespace.is_empty()
        && request.subresource.is_empty()
        && usage::is_counted(request.group, request.resource)
}

/// What becomes of the quotas when the object is written: those that change,
/// by their place. One whose limits have yet to be taken over comes back as it
/// is: whoever measures it at this moment must notice the write.
pub fn charge(
    request: &Request<'_>,
    object: &Value,
    old: Option<&Value>,
    quotas: &[Value],
    now: Timestamp,
) -> Result<Vec<(usize, Value)>, Status> {
    let mut pertinent = Vec::new();
    for (place, quota) in quotas.iter().enumerate() {
        if is_pertinent(request, object, quota)? {
            pertinent.push(place);
        }
    }
    let added = added(request, object, old, now);
    let mut changed = Vec::new();
    if added.is_empty() {
        return Ok(changed);
    }
    for place in pertinent {
        changed.extend(charge_one(request, &quotas[place], &added)?.map(|quota| (place, quota)));
    }
    Ok(changed)
}

/// Whether a quota is about an object at all. The object must say what the
/// quota measures, and the quota must have been measured.
fn is_pertinent(request: &Request<'_>, object: &Value, quota: &Value) -> Result<bool, Status> {
    let (group, resource) = (request.group, request.resource);
    let wanted = amounts::read(quota.at(&["spec", "hard"]));
    let hard = amounts::read(quota.at(&["status", "hard"]));
    let used = amounts::read(quota.at(&["status", "used"]));
    let concerned = |name: &&String| usage::concerns(group, resource, name);
    let concerns_it = wanted
        .keys()
        .chain(hard.keys())
        .any(|name| concerned(&name));
    if !concerns_it || !usage::is_in_scope(group, resource, quota, object) {
        return Ok(false);
    }
    let measured: Vec<&str> = hard.keys().filter(concerned).map(String::as_str).collect();
    if (group, resource) == ("", "pods")
        && let Some(why) = usage::unsaid(object, measured.iter().copied())
    {
        let name = quota.name();
        return Err(request.forbidden(format!("failed quota: {name}: {why}")));
    }
    let unknown = measured.iter().filter(|name| !used.contains_key(**name));
    let unknown: Vec<&str> = unknown.copied().collect();
    if !unknown.is_empty() {
        let (name, unknown) = (quota.name(), unknown.join(","));
        let why = format!("status unknown for quota: {name}, resources: {unknown}");
        return Err(request.forbidden(why));
    }
    Ok(true)
}

/// What the object uses more than before.
fn added(request: &Request<'_>, object: &Value, old: Option<&Value>, now: Timestamp) -> Amounts {
    let of = |object| usage::usage(request.group, request.resource, object, now);
    let before = old.map(of).unwrap_or_default();
    let mut added = of(object);
    for (name, quantity) in &mut added {
        *quantity = *quantity - before.get(name).copied().unwrap_or_default();
    }
    added.retain(|_, quantity| quantity.sign() > 0);
    added
}

fn charge_one(
    request: &Request<'_>,
    quota: &Value,
    added: &Amounts,
) -> Result<Option<Value>, Status> {
    let hard = amounts::read(quota.at(&["status", "hard"]));
    let mut used = amounts::read(quota.at(&["status", "used"]));
    let mut asked = added.clone();
    asked.retain(|name, _| hard.contains_key(name));
    if asked.is_empty() {
        let wanted = amounts::read(quota.at(&["spec", "hard"]));
        let is_new = |name: &String| added.contains_key(name) && !hard.contains_key(name);
        return Ok(wanted.keys().any(is_new).then(|| quota.clone()));
    }
    let before = used.clone();
    amounts::add(&mut used, &asked);
    let too_much = |name: &&String| used.get(*name) > hard.get(*name);
    let exceeded: BTreeSet<&String> = asked.keys().filter(too_much).collect();
    if exceeded.is_empty() {
        let mut quota = quota.clone();
        quota.set_at(&["status", "used"], amounts::write(&used));
        return Ok(Some(quota));
    }
    let shown = |amounts: &Amounts| {
        let shown = exceeded.iter().map(|name| {
            let quantity = amounts.get(*name).copied().unwrap_or_default();
            format!("{name}={}", Quantity::to_string(&quantity))
        });
        shown.collect::<Vec<_>>().join(",")
    };
    Err(request.forbidden(format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        shown(&asked),
        shown(&before),
        shown(&hard)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Case, create, update};
    use meta::{GroupVersionKind, value};

    fn quota(hard: Value, used: Value) -> Value {
        value!({
            "metadata": {"namespace": "ns", "name": "q"},
            "spec": {"hard": hard.clone()}, "status": {"hard": hard, "used": used},
        })
    }

    fn check(case: Case, quota: Value, wanted: Result<&str, &str>) {
        let kind = GroupVersionKind::default();
        let request = case.request(&kind);
        let (object, old) = case.objects();
        let found = charge(&request, object, old, &[quota], Timestamp::UNIX_EPOCH);
        let found = found.map(|changed| {
            let used = changed
                .first()
                .and_then(|(_, quota)| quota.at(&["status", "used"]).cloned());
            used.map(|used| used.to_json()).unwrap_or_default()
        });
        let found = found.map_err(|status| status.message);
        assert_eq!(
            found
                .as_deref()
                .map_err(|text| text.split_once(": ").unwrap().1),
            wanted
        );
    }

    fn pod(resources: Value) -> Case {
        let pod = value!({"metadata": {"name": "p"}, "spec": {
            "containers": [{"name": "c", "resources": resources}],
        }});
        create("pods", "ns", pod)
    }

    #[test]
    fn what_is_used_is_added_or_refused() {
        let small = || pod(value!({"requests": {"cpu": "500m"}}));
        let hard = || value!({"pods": "2", "requests.cpu": "1"});
        check(
            small(),
            quota(hard(), value!({"pods": "1", "requests.cpu": "250m"})),
            Ok("{\"pods\":\"2\",\"requests.cpu\":\"750m\"}"),
        );
        check(
            small(),
            quota(hard(), value!({"pods": "2", "requests.cpu": "600m"})),
            Err(
                "exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=2,requests.cpu=600m, limited: pods=2,requests.cpu=1",
            ),
        );
        check(
            pod(value!({})),
            quota(hard(), value!({"pods": "0", "requests.cpu": "0"})),
            Err("failed quota: q: must specify requests.cpu for: c"),
        );
        check(
            small(),
            quota(hard(), value!({"pods": "0"})),
            Err("status unknown for quota: q, resources: requests.cpu"),
        );
        let secrets = quota(value!({"secrets": "1"}), value!({"secrets": "1"}));
        check(small(), secrets, Ok(""));
    }

    #[test]
    fn a_quota_that_has_not_been_measured_notices_the_write() {
        let mut new = quota(value!({"pods": "1"}), value!({}));
        new.remove_at(&["status"]);
        let kind = GroupVersionKind::default();
        let case = pod(value!({}));
        let (object, old) = case.objects();
        let now = Timestamp::UNIX_EPOCH;
        let found = charge(&case.request(&kind), object, old, &[new.clone()], now);
        assert_eq!(found.unwrap(), [(0, new)]);
    }

    #[test]
    fn a_changed_service_is_charged_for_what_it_uses_more() {
        let service =
            |ty: &str| value!({"metadata": {"name": "s"}, "spec": {"type": ty, "ports": [{}, {}]}});
        let hard = || value!({"services": "1", "services.nodeports": "2"});
        let used = |ports: &str| value!({"services": "1", "services.nodeports": ports});
        let change = |from, to| update("services", "ns", service(from), service(to));
        check(
            change("ClusterIP", "NodePort"),
            quota(hard(), used("0")),
            Ok("{\"services\":\"1\",\"services.nodeports\":\"2\"}"),
        );
        check(
            change("ClusterIP", "NodePort"),
            quota(hard(), used("1")),
            Err(
                "exceeded quota: q, requested: services.nodeports=2, used: services.nodeports=1, limited: services.nodeports=2",
            ),
        );
        check(
            change("NodePort", "ClusterIP"),
            quota(hard(), used("2")),
            Ok(""),
        );
    }
}
