//! `events`: what has happened, oldest first.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/events.

use crate::api::query;
use crate::error::{Result, said};
use crate::io;
use crate::print::{self, DryRun, PrintArgs};
use crate::shell::Shell;
use crate::words::{age_of, columns};
use meta::Value;

/// The arguments of `events`.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    print: PrintArgs,
    /// If present, list the requested objects across all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Filter events to only those pertaining to the specified resource.
    #[arg(long = "for", default_value = "")]
    about: String,
    /// Output only events of given types.
    #[arg(long, value_delimiter = ',')]
    types: Vec<String>,
    /// After listing the requested events, watch for more events.
    #[arg(short, long)]
    watch: bool,
    /// Don't print headers.
    #[arg(long)]
    no_headers: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if args.watch {
        return said("--watch is not supported here; use `kubectl get events --watch`");
    }
    for kind in &args.types {
        if !["normal", "warning"].contains(&kind.to_lowercase().as_str()) {
            return said("valid --types are Normal or Warning");
        }
    }
    let (namespace, _) = shell.namespace()?;
    let path = match args.all_namespaces {
        true => "/api/v1/events".to_string(),
        false => format!("/api/v1/namespaces/{namespace}/events"),
    };
    let fields = match args.about.split_once('/') {
        Some((kind, name)) => {
            let resource = shell.resource(kind).await?;
            format!(
                "involvedObject.kind={},involvedObject.name={name}",
                resource.kind
            )
        }
        None if args.about.is_empty() => String::new(),
        None => return said("--for must be in resource/name form"),
    };
    let list = shell
        .api()
        .await?
        .get(&query(
            &path,
            &[("fieldSelector", &fields), ("limit", "500")],
        ))
        .await?;
    let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
    let mut events: Vec<Value> = list
        .items_at(&["items"])
        .iter()
        .filter(|e| {
            args.types.is_empty()
                || args
                    .types
                    .iter()
                    .any(|t| t.eq_ignore_ascii_case(e.str_at(&["type"])))
        })
        .map(|e| crate::select::whole(e, head))
        .collect();
    if events.is_empty() {
        io::warn(match args.all_namespaces {
            true => "No events found.".to_string(),
            false => format!("No events found in {namespace} namespace."),
        });
        return Ok(());
    }
    events.sort_by(|a, b| last_seen(a).cmp(last_seen(b)));
    let mut reporter = args.print.reporter(DryRun::None)?;
    if !reporter.is_human() {
        return reporter.print(&print::list(events));
    }
    let mut rows = Vec::new();
    if !args.no_headers {
        let mut heads = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
        if args.all_namespaces {
            heads.insert(0, "NAMESPACE");
        }
        rows.push(heads.into_iter().map(str::to_string).collect());
    }
    rows.extend(events.iter().map(|event| row(event, args.all_namespaces)));
    io::out(&columns(&rows));
    Ok(())
}

fn last_seen(event: &Value) -> &str {
    let times = [
        event.str_at(&["series", "lastObservedTime"]),
        event.str_at(&["lastTimestamp"]),
        event.str_at(&["eventTime"]),
    ];
    times
        .into_iter()
        .find(|time| !time.is_empty())
        .unwrap_or_default()
}

fn row(event: &Value, with_namespace: bool) -> Vec<String> {
    let first = match event.str_at(&["firstTimestamp"]) {
        "" => event.str_at(&["eventTime"]),
        first => first,
    };
    let count = event
        .i64_at(&["series", "count"])
        .or_else(|| event.i64_at(&["count"]))
        .unwrap_or(1);
    let seen = match count > 1 {
        true => format!(
            "{} (x{count} over {})",
            age_of(last_seen(event)),
            age_of(first)
        ),
        false => age_of(last_seen(event)),
    };
    let object = event.get("involvedObject").cloned().unwrap_or_default();
    let mut row = vec![
        seen,
        event.str_at(&["type"]).to_string(),
        event.str_at(&["reason"]).to_string(),
        format!("{}/{}", object.str_at(&["kind"]), object.str_at(&["name"])),
        event.str_at(&["message"]).trim().to_string(),
    ];
    if with_namespace {
        row.insert(0, event.str_at(&["metadata", "namespace"]).to_string());
    }
    row
}
