//! `set`: changes features of objects that have pods.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/set.

use crate::api::MERGE_PATCH;
use crate::change::{Write, merge_patch};
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{Choice, FileArgs, fetch_all, from_files};
use crate::shell::Shell;
use clap::Subcommand;
use meta::{Value, value};

/// The arguments of `set`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: What,
}

#[derive(clap::Args, Debug)]
struct Common {
    /// Types and names, then what to set.
    words: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// If true, set will NOT contact api-server but run locally.
    #[arg(long)]
    local: bool,
    /// Name of the manager used to track field ownership.
    #[arg(long, default_value = "kubectl-set")]
    field_manager: String,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Update environment variables on a pod template.
    Env {
        #[command(flatten)]
        common: Common,
        /// The names of containers in the selected pod templates to change; may use wildcards.
        #[arg(short, long, default_value = "*")]
        containers: String,
        /// If true, display the environment and any changes in the standard format.
        #[arg(long)]
        list: bool,
        /// The name of a resource from which to inject environment variables.
        #[arg(long, default_value = "")]
        from: String,
        /// Prefix to append to variable names.
        #[arg(long, default_value = "")]
        prefix: String,
        /// Specify a key-value pair for an environment variable to set into each container.
        #[arg(short, long)]
        env: Vec<String>,
    },
    /// Update the image of a pod template.
    Image(Common),
    /// Update resource requests/limits on objects with pod templates.
    Resources {
        #[command(flatten)]
        common: Common,
        /// The names of containers in the selected pod templates to change.
        #[arg(short, long, default_value = "*")]
        containers: String,
        /// The resource requirement limits for this container, e.g. 'cpu=100m,memory=256Mi'.
        #[arg(long, default_value = "")]
        limits: String,
        /// The resource requirement requests for this container.
        #[arg(long, default_value = "")]
        requests: String,
    },
    /// Set the selector on a resource.
    Selector(Common),
    /// Update the service account of a resource.
    #[command(alias = "sa")]
    Serviceaccount(Common),
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    match args.command {
        What::Image(common) => {
            let (resources, pairs) = split(&common.words);
            common
                .each(shell, resources, "image updated", |object| {
                    images(object, pairs)
                })
                .await
        }
        What::Env {
            common,
            containers,
            list,
            from,
            prefix,
            env,
        } => {
            let at = common
                .words
                .iter()
                .position(|w| w.contains('=') || w.ends_with('-'));
            let (resources, pairs) = common.words.split_at(at.unwrap_or(common.words.len()));
            let pairs: Vec<String> = pairs.iter().chain(&env).cloned().collect();
            let extra = injected(shell, &from, &prefix).await?;
            if list {
                return show_env(shell, &common, resources).await;
            }
            if pairs.is_empty() && extra.is_empty() {
                return said("at least one environment variable must be provided");
            }
            common
                .each(shell, resources, "env updated", |object| {
                    variables(object, &containers, &pairs, &extra)
                })
                .await
        }
        What::Resources {
            common,
            containers,
            limits,
            requests,
        } => {
            if limits.is_empty() && requests.is_empty() {
                return said(
                    "you must specify an update to requests or limits (in the form of --requests/--limits)",
                );
            }
            common
                .each(
                    shell,
                    &common.words,
                    "resource requirements updated",
                    |object| {
                        amounts(
                            object,
                            &containers,
                            &[("limits", &limits), ("requests", &requests)],
                        )
                    },
                )
                .await
        }
        What::Serviceaccount(common) => {
            let Some((name, resources)) = common.words.split_last() else {
                return said("serviceaccount is required");
            };
            common
                .each(shell, resources, "serviceaccount updated", |object| {
                    let spec = pod_spec(object)?;
                    spec.set_at(&["serviceAccountName"], name.as_str());
                    spec.set_at(&["serviceAccount"], name.as_str());
                    Ok(())
                })
                .await
        }
        What::Selector(common) => {
            let Some((text, resources)) = common.words.split_last() else {
                return said(
                    "one or more resources must be specified as <resource> <name> or <resource>/<name>",
                );
            };
            common
                .each(shell, resources, "selector updated", |object| {
                    let mut labels = value!({});
                    for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                        match pair.split_once('=') {
                            Some((key, value)) => labels.set_at(&[key], value),
                            None => return said(format!("invalid selector {pair}")),
                        }
                    }
                    object.set_at(&["spec", "selector"], labels);
                    Ok(())
                })
                .await
        }
    }
}

fn split(words: &[String]) -> (&[String], &[String]) {
    let at = words.iter().position(|word| word.contains('='));
    words.split_at(at.unwrap_or(words.len()))
}

impl Common {
    fn choice<'a>(&'a self, resources: &'a [String]) -> Choice<'a> {
        Choice {
            arguments: resources,
            files: Some(&self.files),
            labels: &self.selector,
            all: self.all,
            ..Choice::default()
        }
    }

    async fn each(
        &self,
        shell: &Shell,
        resources: &[String],
        done: &str,
        change: impl Fn(&mut Value) -> Result,
    ) -> Result {
        let dry_run = self.dry_run.get()?;
        let write = Write::by(&self.field_manager, dry_run);
        let mut reporter = self.print.reporter(dry_run)?;
        let infos = match self.local {
            true => from_files(shell, &self.files).await?,
            false if resources.is_empty() && self.files.is_empty() => {
                return said(
                    "one or more resources must be specified as <resource> <name> or <resource>/<name>",
                );
            }
            false => fetch_all(shell, &self.choice(resources)).await?,
        };
        let mut errors = Vec::new();
        for info in infos {
            let mut changed = info.object.clone();
            if let Err(error) = change(&mut changed) {
                errors.push(error);
                continue;
            }
            let Some(mut patch) = merge_patch(&info.object, &changed) else {
                continue;
            };
            if self.local || write.is_local() {
                reporter.report(&changed, done)?;
                continue;
            }
            // Lists are sent whole: nobody may have written in between.
            let version = info.object.str_at(&["metadata", "resourceVersion"]);
            patch.set_at(&["metadata", "resourceVersion"], version);
            match write.patch(shell, &info, MERGE_PATCH, &patch).await {
                Ok(object) => reporter.report(&object, done)?,
                Err(error) => errors.push(error.doing(&format!(
                    "failed to patch {} update to pod template",
                    done.split(' ').next().unwrap_or(done)
                ))),
            }
        }
        Error::collect(errors)
    }
}

/// The specification of an object's pods.
fn pod_spec(object: &mut Value) -> Result<&mut Value> {
    let path: &[&str] = match object.str_at(&["kind"]) {
        "Pod" => &["spec"],
        "CronJob" => &["spec", "jobTemplate", "spec", "template", "spec"],
        _ => &["spec", "template", "spec"],
    };
    let kind = object.str_at(&["kind"]).to_string();
    match object.at_mut(path) {
        Some(spec) => Ok(spec),
        None => said(format!(
            "the object is not a pod or does not have a pod template: {kind}"
        )),
    }
}

fn each_container(
    spec: &mut Value,
    lists: &[&str],
    pattern: &str,
    mut change: impl FnMut(&mut Value) -> Result,
) -> Result<usize> {
    let mut count = 0;
    for list in lists {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else {
            continue;
        };
        for container in containers {
            if matches(pattern, container.str_at(&["name"])) {
                change(container)?;
                count += 1;
            }
        }
    }
    Ok(count)
}

/// A name, or a pattern with one `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => {
            name.len() >= before.len() + after.len()
                && name.starts_with(before)
                && name.ends_with(after)
        }
    }
}

fn images(object: &mut Value, pairs: &[String]) -> Result {
    if pairs.is_empty() {
        return said("at least one image update is required");
    }
    let spec = pod_spec(object)?;
    for pair in pairs {
        let Some((name, image)) = pair.split_once('=') else {
            return said(format!("invalid image specification {pair}"));
        };
        let count = each_container(spec, &["initContainers", "containers"], name, |container| {
            container.set_at(&["image"], image);
            Ok(())
        })?;
        if count == 0 {
            return said(format!("unable to find container named \"{name}\""));
        }
    }
    Ok(())
}

fn variables(object: &mut Value, pattern: &str, pairs: &[String], extra: &[Value]) -> Result {
    let spec = pod_spec(object)?;
    each_container(
        spec,
        &["containers", "initContainers"],
        pattern,
        |container| {
            let all = container.make_object().entry("env").make_array();
            let place = |all: &mut Vec<Value>, new: Value| match all
                .iter_mut()
                .find(|v| v.str_at(&["name"]) == new.str_at(&["name"]))
            {
                Some(old) => *old = new,
                None => all.push(new),
            };
            for pair in pairs {
                match (pair.split_once('='), pair.strip_suffix('-')) {
                    (Some((name, value)), _) => {
                        place(all, value!({"name": (name), "value": (value)}))
                    }
                    (None, Some(name)) => all.retain(|v| v.str_at(&["name"]) != name),
                    (None, None) => {
                        return said(format!(
                            "environment variables must be of the form key=value, not {pair}"
                        ));
                    }
                }
            }
            extra.iter().cloned().for_each(|new| place(all, new));
            if all.is_empty() {
                container.remove_at(&["env"]);
            }
            Ok(())
        },
    )
    .map(|_| ())
}

/// Variables that refer to the keys of a config map or secret.
async fn injected(shell: &Shell, from: &str, prefix: &str) -> Result<Vec<Value>> {
    if from.is_empty() {
        return Ok(Vec::new());
    }
    let arguments = [from.to_string()];
    let choice = Choice {
        arguments: &arguments,
        ..Choice::default()
    };
    let mut out = Vec::new();
    for info in fetch_all(shell, &choice).await? {
        let reference = match info.resource.kind.as_str() {
            "ConfigMap" => "configMapKeyRef",
            "Secret" => "secretKeyRef",
            other => return said(format!("unsupported resource specified in --from: {other}")),
        };
        let data = info.object.get("data").and_then(Value::as_object);
        for key in data.into_iter().flat_map(meta::Map::keys) {
            let name: String = key
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() {
                        c.to_ascii_uppercase()
                    } else {
                        '_'
                    }
                })
                .collect();
            let mut variable = value!({"name": (format!("{prefix}{name}"))});
            variable.set_at(&["valueFrom", reference, "key"], key.as_str());
            variable.set_at(&["valueFrom", reference, "name"], info.name.as_str());
            out.push(variable);
        }
    }
    Ok(out)
}

async fn show_env(shell: &Shell, common: &Common, resources: &[String]) -> Result {
    for mut info in fetch_all(shell, &common.choice(resources)).await? {
        let title = format!("{}/{}", info.resource.name, info.name);
        let spec = pod_spec(&mut info.object)?;
        each_container(spec, &["initContainers", "containers"], "*", |container| {
            io::line(format!(
                "# {title}, container {}",
                container.str_at(&["name"])
            ));
            for variable in container.items_at(&["env"]) {
                let name = variable.str_at(&["name"]);
                match variable.get("valueFrom") {
                    None => io::line(format!("{name}={}", variable.str_at(&["value"]))),
                    Some(_) => io::line(format!("# {name} from elsewhere")),
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn amounts(object: &mut Value, pattern: &str, kinds: &[(&str, &String)]) -> Result {
    let spec = pod_spec(object)?;
    let count = each_container(spec, &["containers"], pattern, |container| {
        for (kind, text) in kinds {
            for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                match pair.split_once('=') {
                    Some((name, amount)) => container.set_at(&["resources", kind, name], amount),
                    None => {
                        return said(format!(
                            "Invalid argument syntax {pair}, expected <resource>=<value>"
                        ));
                    }
                }
            }
        }
        Ok(())
    })?;
    match count {
        0 => said(format!("unable to find container named {pattern}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_changed_by_name_or_pattern() {
        let mut object = value!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": [{"name": "web", "image": "a"}]}}}});
        images(&mut object, &["w*=b".into()]).expect("a container");
        variables(&mut object, "*", &["A=1".into(), "B-".into()], &[]).expect("variables");
        assert_eq!(
            object
                .at(&["spec", "template", "spec", "containers"])
                .map(Value::to_json)
                .as_deref(),
            Some(r#"[{"env":[{"name":"A","value":"1"}],"image":"b","name":"web"}]"#)
        );
        assert!(images(&mut object, &["x=b".into()]).is_err());
    }
}
