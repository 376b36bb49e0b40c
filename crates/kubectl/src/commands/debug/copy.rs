//! A copy of a pod, with one more container or with others changed.

use super::Plan;
use super::profile::{Style, push};
use super::spec::{any_mut, find, warn_of_users};
use crate::deleting::{Deletion, delete};
use crate::error::{Result, said};
use crate::select::Info;
use crate::shell::Shell;
use meta::{Value, value};

pub(super) async fn visit(shell: &Shell, plan: &Plan<'_>, info: &Info) -> Result<(Value, String)> {
    let (copy, name) = copy(plan, &info.object)?;
    if let Some(container) = find(&copy, &name) {
        warn_of_users(container, &copy);
    }
    let path = info.resource.collection(&info.namespace);
    let created = shell.api().await?.post(&path, &copy).await?;
    if plan.args.replace {
        let how = Deletion {
            grace: Some(0),
            ..Deletion::default()
        };
        delete(shell, info, &how).await?;
    }
    Ok((created, name))
}

/// The copy, and the container in it that debugs; no container when only images change.
fn copy(plan: &Plan<'_>, pod: &Value) -> Result<(Value, String)> {
    let args = plan.args;
    let mut copy = value!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": (args.copy_to.as_str()), "namespace": (pod.str_at(&["metadata", "namespace"]))}
    });
    for field in ["annotations", "labels"] {
        if let Some(value) = pod.at(&["metadata", field]) {
            copy.set_at(&["metadata", field], value.clone());
        }
    }
    copy.set_at(&["spec"], pod.get("spec").cloned().unwrap_or_default());
    copy.remove_at(&["spec", "ephemeralContainers"]);
    if let Some(shared) = args.share_processes {
        copy.set_at(&["spec", "shareProcessNamespace"], shared);
    }
    if !args.same_node {
        copy.remove_at(&["spec", "nodeName"]);
    }
    set_images(plan, &mut copy);
    let mut name = args.container.clone();
    if find(&copy, &name).is_none() {
        if args.image.is_empty() && !plan.set_images.is_empty() {
            return Ok((copy, String::new()));
        }
        if args.image.is_empty() {
            return said("you must specify image when creating new container");
        }
        name = plan.container_name(&copy);
        let container = value!({"name": (name.as_str()), "terminationMessagePolicy": "File"});
        push(&mut copy, &["spec", "containers"], container);
    }
    if let Some(container) = any_mut(&mut copy, &name) {
        change(plan, container);
    }
    plan.profile.apply(&mut copy, &name, Style::Copy, args.keep);
    plan.customize(&mut copy, "containers", &name)?;
    Ok((copy, name))
}

fn set_images(plan: &Plan<'_>, copy: &mut Value) {
    let containers = copy.at_mut(&["spec", "containers"]);
    for container in containers
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let own = plan.set_images.get(container.str_at(&["name"]));
        if let Some(image) = own.or_else(|| plan.set_images.get("*")) {
            container.set_at(&["image"], image.as_str());
        }
    }
}

fn change(plan: &Plan<'_>, container: &mut Value) {
    let args = plan.args;
    if !args.command.is_empty() && args.arguments_only {
        container.set_at(&["args"], args.command.clone());
    } else if !args.command.is_empty() {
        container.set_at(&["command"], args.command.clone());
        container.remove_at(&["args"]);
    }
    if !plan.env.is_empty() {
        container.set_at(&["env"], plan.env.clone());
    }
    for (field, text) in [
        ("image", &args.image),
        ("imagePullPolicy", &args.image_pull_policy),
    ] {
        if !text.is_empty() {
            container.set_at(&[field], text.as_str());
        }
    }
    container.set_at(&["stdin"], args.stdin);
    container.set_at(&["tty"], args.tty);
}
