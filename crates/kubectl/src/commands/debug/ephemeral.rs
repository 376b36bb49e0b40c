//! A container that joins a pod which runs.

use super::Plan;
use super::profile::{Style, push};
use super::spec::warn_of_users;
use crate::api::{STRATEGIC_PATCH, query};
use crate::error::{Error, Result, said};
use crate::select::Info;
use crate::shell::Shell;
use meta::{Value, value};

pub(super) async fn visit(shell: &Shell, plan: &Plan<'_>, info: &Info) -> Result<(Value, String)> {
    let (container, name) = container(plan, &info.object)?;
    warn_of_users(&container, &info.object);
    let existing = info
        .object
        .items_at(&["spec", "ephemeralContainers"])
        .iter();
    let mut order: Vec<Value> = existing
        .map(|one| value!({"name": (one.str_at(&["name"]))}))
        .collect();
    order.push(value!({"name": (name.as_str())}));
    let patch = value!({"spec": {
        "$setElementOrder/ephemeralContainers": (order), "ephemeralContainers": [(container)]
    }});
    let path = query(&format!("{}/ephemeralcontainers", info.path()), &[]);
    let api = shell.api().await?;
    match api.patch(&path, STRATEGIC_PATCH, &patch).await {
        Ok(pod) => Ok((pod, name)),
        Err(Error::Refused(refusal)) if is_unknown(&refusal.status) => said(format!(
            "ephemeral containers are disabled for this cluster (error from server: {})",
            crate::words::quote(refusal.status.str_at(&["message"]))
        )),
        Err(error) => Err(error),
    }
}

/// A server that does not know the subresource names nothing that it did not find.
fn is_unknown(status: &Value) -> bool {
    status.str_at(&["reason"]) == "NotFound" && status.str_at(&["details", "name"]).is_empty()
}

fn container(plan: &Plan<'_>, pod: &Value) -> Result<(Value, String)> {
    let name = plan.container_name(pod);
    let mut container = plan.new_container(&name);
    if !plan.args.target.is_empty() {
        container.set_at(&["targetContainerName"], plan.args.target.as_str());
    }
    let mut changed = pod.clone();
    changed.remove_at(&["spec", "ephemeralContainers"]);
    push(&mut changed, &["spec", "ephemeralContainers"], container);
    let keep = plan.args.keep;
    plan.profile
        .apply(&mut changed, &name, Style::Ephemeral, keep);
    plan.customize(&mut changed, "ephemeralContainers", &name)?;
    let made = changed.items_at(&["spec", "ephemeralContainers"]).last();
    Ok((made.cloned().unwrap_or_default(), name))
}
