//! The container that debugs: its name, its fields, and what the user's file changes of it.

use super::Plan;
use crate::error::{Result, said};
use crate::{io, words};
use meta::schema::{Struct, Type};
use meta::{Value, value};

const LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

impl Plan<'_> {
    /// The name that is asked for, or one that no container of the pod has.
    pub(super) fn container_name(&self, pod: &Value) -> String {
        if !self.args.container.is_empty() {
            return self.args.container.clone();
        }
        let random = stdx::Rng::system();
        let name = loop {
            let name = format!("debugger-{}", random.name_letters(5));
            if find(pod, &name).is_none() {
                break name;
            }
        };
        self.tell(&format!("Defaulting debug container name to {name}."));
        name
    }

    /// A container of its own, as the arguments describe it.
    pub(super) fn new_container(&self, name: &str) -> Value {
        let args = self.args;
        let mut container = value!({
            "name": (name), "image": (args.image.as_str()), "resources": {},
            "terminationMessagePolicy": "File"
        });
        if !args.command.is_empty() {
            let field = if args.arguments_only {
                "args"
            } else {
                "command"
            };
            container.set_at(&[field], args.command.clone());
        }
        if !self.env.is_empty() {
            container.set_at(&["env"], self.env.clone());
        }
        if !args.image_pull_policy.is_empty() {
            container.set_at(&["imagePullPolicy"], args.image_pull_policy.as_str());
        }
        if args.stdin {
            container.set_at(&["stdin"], true);
        }
        if args.tty {
            container.set_at(&["tty"], true);
        }
        container
    }

    /// Changes a container of a pod as the user's file says.
    pub(super) fn customize(&self, pod: &mut Value, list: &str, name: &str) -> Result {
        let Some(custom) = &self.custom else {
            return Ok(());
        };
        let Some(schema) = schema(list) else {
            return said(format!("there is no schema of {list}"));
        };
        let containers = pod.at_mut(&["spec", list]).and_then(Value::as_array_mut);
        let mut containers = containers.into_iter().flatten();
        let Some(container) = containers.find(|one| one.str_at(&["name"]) == name) else {
            return said(format!("unable to find the {name} container in the pod"));
        };
        codec::patch::strategic::apply(container, custom.clone(), schema).or_else(|error| {
            said(format!(
                "error creating three way patch to add debug container: {error}"
            ))
        })
    }
}

/// A container of a pod by its name.
pub(super) fn find<'a>(pod: &'a Value, name: &str) -> Option<&'a Value> {
    let mut all = LISTS.iter().flat_map(|list| pod.items_at(&["spec", list]));
    all.find(|container| container.str_at(&["name"]) == name)
}

/// The same, to be changed, if it is in one of these lists.
pub(super) fn find_mut<'a>(
    pod: &'a mut Value,
    lists: &[&str],
    name: &str,
) -> Option<&'a mut Value> {
    let is_it = |container: &Value| container.str_at(&["name"]) == name;
    let list = lists
        .iter()
        .find(|list| pod.items_at(&["spec", list]).iter().any(is_it))?;
    let containers = pod.at_mut(&["spec", list])?.as_array_mut()?;
    containers.iter_mut().find(|container| is_it(container))
}

/// A container of a pod wherever it is.
pub(super) fn any_mut<'a>(pod: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    find_mut(
        pod,
        &["initContainers", "containers", "ephemeralContainers"],
        name,
    )
}

fn schema(list: &str) -> Option<&'static Struct> {
    let spec = api::schema::of("v1", "Pod")?
        .field("spec")?
        .ty
        .as_struct()?;
    match &spec.field(list)?.ty {
        Type::List(list) => list.item.as_struct(),
        _ => None,
    }
}

/// Reads the user's file, a part of a container.
pub(super) fn custom(path: &str) -> Result<Option<Value>> {
    if path.is_empty() {
        return Ok(None);
    }
    let text = io::read(path).or_else(|error| {
        said(format!(
            "must pass a container spec json file for custom profile: {error}"
        ))
    })?;
    match codec::yaml::parse(&text) {
        Ok(custom @ Value::Object(_)) => Ok(Some(custom)),
        Ok(_) => said(format!("{path} does not contain a valid container spec")),
        Err(error) => said(format!(
            "{path} does not contain a valid container spec: {error}"
        )),
    }
}

/// Refuses what such a file may not change.
pub(super) fn check_custom(custom: Option<&Value>) -> Result {
    let fixed = ["name", "command", "image", "lifecycle", "volumeDevices"];
    let has = |field: &str| {
        custom
            .and_then(|c| c.get(field))
            .is_some_and(|v| !v.is_empty())
    };
    match fixed.iter().any(|field| has(field)) {
        true => said(
            "name, command, image, lifecycle and volume devices are not modifiable via custom profile",
        ),
        false => Ok(()),
    }
}

/// Warns when what the profile grants may have no effect.
pub(super) fn warn_of_users(container: &Value, pod: &Value) {
    let user = |tree: &Value| tree.i64_at(&["securityContext", "runAsUser"]);
    let of_pod = pod.i64_at(&["spec", "securityContext", "runAsUser"]);
    let grants = container.is_true_at(&["securityContext", "privileged"])
        || !container
            .items_at(&["securityContext", "capabilities", "add"])
            .is_empty();
    if of_pod.is_none_or(|user| user == 0) || user(container) == Some(0) || !grants {
        return;
    }
    io::warn(format!(
        "Warning: Non-root user is configured for the entire target Pod, and some capabilities granted by debug profile may not work. Please consider using {} with a custom profile that specifies {}.",
        words::quote("--custom"),
        words::quote("securityContext.runAsUser: 0")
    ));
}
