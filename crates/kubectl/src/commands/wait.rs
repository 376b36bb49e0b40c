//! `wait`: until objects have a condition, a value, exist, or are gone.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/wait.

use crate::api::query;
use crate::deleting::wait_gone;
use crate::error::{Error, Result, said};
use crate::print::PrintArgs;
use crate::select::{Choice, FileArgs, Info, Wanted, fetch, from_files, wanted};
use crate::shell::Shell;
use crate::{io, words};
use futures::StreamExt as _;
use meta::Value;
use meta::jsonpath::JsonPath;
use std::time::Duration;

/// The arguments of `wait`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Types and names.
    resources: Vec<String>,
    #[command(flatten)]
    files: FileArgs,
    #[command(flatten)]
    print: PrintArgs,
    /// [create|delete|condition=condition-name[=condition-value]|jsonpath='{expression}'=value].
    #[arg(long = "for")]
    until: Option<String>,
    /// The length of time to wait before giving up; negative is a week.
    #[arg(long, default_value = "30s")]
    timeout: String,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Selector (field query) to filter on.
    #[arg(long, default_value = "")]
    field_selector: String,
    /// Select all resources in the namespace of the specified resource types.
    #[arg(long)]
    all: bool,
    /// If true, the objects are those of the files, which are not read from the server first.
    #[arg(long)]
    local: bool,
    /// If present, list the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

enum Until {
    Created,
    Deleted,
    Condition(String, String),
    Path(JsonPath, Option<String>),
}

const WEEK: f64 = 7.0 * 24.0 * 3600.0;

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let until = until(args.until.as_deref())?;
    let seconds = words::duration_flag("--timeout", &args.timeout)?;
    let limit = Duration::from_secs_f64(if seconds < 0.0 { WEEK } else { seconds });
    let choice = Choice {
        arguments: &args.resources,
        files: Some(&args.files),
        labels: &args.selector,
        fields: &args.field_selector,
        all: args.all,
        all_namespaces: args.all_namespaces,
        ..Choice::default()
    };
    crate::marking::needs_names(&choice)?;
    if let Until::Created = until {
        return match tokio::time::timeout(limit, created(shell, &args, &choice)).await {
            Ok(done) => done,
            Err(_) => said("timed out waiting for the condition"),
        };
    }
    let (infos, mut errors) = match args.local {
        true => (from_files(shell, &args.files).await?, Vec::new()),
        false => fetch(shell, &choice).await?,
    };
    if let Until::Deleted = until {
        errors.retain(|error| !error.is_not_found());
    } else if infos.is_empty() && errors.is_empty() {
        return said("no matching resources found");
    }
    let mut reporter = args.print.reporter(crate::print::DryRun::None)?;
    let clock = stdx::Clock::system();
    let started = clock.now();
    for info in &infos {
        let left = limit.saturating_sub(clock.since(started));
        let outcome = match &until {
            Until::Deleted => {
                let uid = info.object.str_at(&["metadata", "uid"]);
                wait_gone(shell, info, uid, Some(left))
                    .await
                    .map(|()| info.object.clone())
            }
            _ => match tokio::time::timeout(left, reached(shell, info, &until)).await {
                Ok(reached) => reached,
                Err(_) => said(format!(
                    "timed out waiting for the condition on {}/{}",
                    info.resource.name, info.name
                )),
            },
        };
        match outcome {
            Ok(object) => reporter.report(
                &object,
                match until {
                    Until::Deleted => "deleted",
                    _ => "condition met",
                },
            )?,
            Err(error) => errors.push(error),
        }
    }
    Error::collect(errors)
}

fn until(text: Option<&str>) -> Result<Until> {
    let text = text.unwrap_or_default();
    let lower = text.to_lowercase();
    if lower == "delete" {
        return Ok(Until::Deleted);
    }
    if lower == "create" {
        return Ok(Until::Created);
    }
    if let Some(condition) = text.strip_prefix("condition=") {
        let (name, value) = condition.split_once('=').unwrap_or((condition, "true"));
        return Ok(Until::Condition(name.to_string(), value.to_string()));
    }
    if let Some(rest) = text.strip_prefix("jsonpath=") {
        let rest = rest.trim_matches('\'');
        let (path, value) = match rest.rfind("}=") {
            Some(end) => (
                &rest[..=end],
                Some(rest[end + 2..].trim_matches('\'').to_string()),
            ),
            None => (rest, None),
        };
        let path = JsonPath::parse_relaxed(path).or_else(|error| said(error.to_string()))?;
        return Ok(Until::Path(path.allow_missing_keys(true), value));
    }
    said(format!("unrecognized condition: {}", words::quote(text)))
}

fn is_reached(object: &Value, until: &Until) -> Result<bool> {
    match until {
        Until::Created => Ok(true),
        Until::Deleted => Ok(false),
        Until::Condition(name, wanted) => {
            let generation = object.i64_at(&["metadata", "generation"]);
            let mut conditions = object.items_at(&["status", "conditions"]).iter();
            let found = conditions.find(|c| c.str_at(&["type"]).eq_ignore_ascii_case(name));
            Ok(found.is_some_and(|c| {
                let observed = c
                    .i64_at(&["observedGeneration"])
                    .or_else(|| object.i64_at(&["status", "observedGeneration"]));
                let is_stale = observed.zip(generation).is_some_and(|(o, g)| o < g);
                !is_stale && c.str_at(&["status"]).eq_ignore_ascii_case(wanted)
            }))
        }
        Until::Path(path, wanted) => {
            let found = path.find(object).or_else(|error| said(error.to_string()))?;
            let found: Vec<Value> = found
                .into_iter()
                .flatten()
                .map(|v| v.into_owned())
                .collect();
            match (found.as_slice(), wanted) {
                ([], _) => Ok(false),
                (_, None) => Ok(true),
                ([Value::Object(_) | Value::Array(_)], Some(_)) => {
                    said("jsonpath leads to a nested object or list which is not supported")
                }
                ([one], Some(wanted)) => Ok(meta::go::print(one) == *wanted),
                _ => said("given jsonpath expression matches more than one value"),
            }
        }
    }
}

async fn reached(shell: &Shell, info: &Info, until: &Until) -> Result<Value> {
    let api = shell.api().await?;
    let fields = format!("metadata.name={}", info.name);
    let path = query(
        &info.resource.collection(&info.namespace),
        &[("fieldSelector", &fields)],
    );
    loop {
        let list = api.get(&path).await?;
        let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
        if let Some(item) = list.items_at(&["items"]).first() {
            let object = crate::select::whole(item, head);
            if is_reached(&object, until)? {
                return Ok(object);
            }
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let watch = query(&path, &[("watch", "true"), ("resourceVersion", version)]);
        let mut events = api.watch(&watch, "application/json").await?;
        while let Some(Ok(event)) = events.next().await {
            let object = event.get("object").cloned().unwrap_or_default();
            match event.str_at(&["type"]) {
                "ERROR" => break,
                "DELETED" => {
                    return said(format!(
                        "{} \"{}\" was deleted",
                        info.resource.name, info.name
                    ));
                }
                _ if is_reached(&object, until)? => return Ok(object),
                _ => {}
            }
        }
    }
}

async fn created(shell: &Shell, args: &Args, choice: &Choice<'_>) -> Result {
    let (namespace, _) = shell.namespace()?;
    for wanted in wanted(shell, choice).await? {
        let (resource, names) = match wanted {
            Wanted::Names(resource, names) => (resource, names),
            Wanted::All(resource) => (resource, Vec::new()),
        };
        let fields: Vec<String> = match names.is_empty() {
            true => vec![args.field_selector.clone()],
            false => names
                .iter()
                .map(|name| format!("metadata.name={name}"))
                .collect(),
        };
        for fields in fields {
            let selectors = [
                ("fieldSelector", fields.as_str()),
                ("labelSelector", args.selector.as_str()),
            ];
            let path = query(&resource.collection(&namespace), &selectors);
            let name = first(shell, &path).await?;
            io::line(format!("{}/{name} condition met", resource.prefix()));
        }
    }
    Ok(())
}

/// The name of the first object of a list, when there is one.
async fn first(shell: &Shell, path: &str) -> Result<String> {
    let api = shell.api().await?;
    loop {
        let list = api.get(path).await?;
        if let Some(item) = list.items_at(&["items"]).first() {
            return Ok(item.str_at(&["metadata", "name"]).to_string());
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let watch = query(path, &[("watch", "true"), ("resourceVersion", version)]);
        let mut events = api.watch(&watch, "application/json").await?;
        while let Some(Ok(event)) = events.next().await {
            match event.str_at(&["type"]) {
                "ERROR" => break,
                "ADDED" => return Ok(event.str_at(&["object", "metadata", "name"]).to_string()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn conditions_and_values_are_seen() {
        let pod = value!({"metadata": {"generation": 2}, "status": {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2}]
        }});
        for (text, wanted) in [
            ("condition=ready", true),
            ("condition=Ready=false", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath={.status.phase}", true),
            ("jsonpath={.status.x}=1", false),
        ] {
            let until = until(Some(text)).expect(text);
            assert_eq!(is_reached(&pod, &until).expect(text), wanted, "{text}");
        }
        assert!(until(Some("x")).is_err());
    }
}
