//! A pod that sees its node from the inside.

use super::Plan;
use super::profile::Style;
use crate::error::Result;
use crate::select::Info;
use crate::shell::Shell;
use meta::{Value, value};

pub(super) async fn visit(shell: &Shell, plan: &Plan<'_>, info: &Info) -> Result<(Value, String)> {
    let asked = plan.args.container.as_str();
    let container = if asked.is_empty() { "debugger" } else { asked };
    let pod = pod(plan, &info.name, container)?;
    let pods = shell.resource("pods").await?;
    let path = pods.collection(&shell.namespace()?.0);
    let created = shell.api().await?.post(&path, &pod).await?;
    Ok((created, container.to_string()))
}

fn pod(plan: &Plan<'_>, node: &str, container: &str) -> Result<Value> {
    let suffix = stdx::Rng::system().name_letters(5);
    let name = format!("node-debugger-{node}-{suffix}");
    plan.tell(&format!(
        "Creating debugging pod {name} with container {container} on node {node}."
    ));
    let mut pod = value!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": (name), "labels": {"app.kubernetes.io/managed-by": "kubectl-debug"}},
        "spec": {
            "containers": [(plan.new_container(container))],
            "nodeName": (node), "restartPolicy": "Never",
            "tolerations": [{"operator": "Exists"}]
        }
    });
    let keep = plan.args.keep;
    plan.profile.apply(&mut pod, container, Style::Node, keep);
    plan.customize(&mut pod, "containers", container)?;
    Ok(pod)
}
