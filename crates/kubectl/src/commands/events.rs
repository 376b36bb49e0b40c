//! `events`: what has happened, oldest first.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/events.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::io;
use crate::print::{self, DryRun, PrintArgs};
use crate::shell::Shell;
use crate::words::{age_of, columns};
use futures::StreamExt as _;
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
    /// Return large lists in chunks rather than all at once.
    #[arg(long, default_value_t = 500)]
    chunk_size: u32,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
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
    let path = query(&path, &[("fieldSelector", &fields)]);
    if args.watch {
        return watch(shell, &args, &path).await;
    }
    let mut events = all(shell, &args, &path).await?;
    events.retain(|event| args.wants(event));
    if events.is_empty() {
        io::warn(match args.all_namespaces {
            true => "No events found.".to_string(),
            false => format!("No events found in {namespace} namespace."),
        });
        return Ok(());
    }
    events.sort_by_key(|event| meta::time::parse(last_seen(event)));
    let mut reporter = args.print.reporter(DryRun::None)?;
    if !reporter.is_human() {
        return reporter.print(&print::list(events));
    }
    let mut rows = Vec::new();
    if !args.no_headers {
        rows.push(args.headers());
    }
    rows.extend(events.iter().map(|event| row(event, args.all_namespaces)));
    io::out(&columns(&rows));
    Ok(())
}

impl Args {
    fn wants(&self, event: &Value) -> bool {
        let kind = event.str_at(&["type"]);
        self.types.is_empty() || self.types.iter().any(|t| t.eq_ignore_ascii_case(kind))
    }

    fn headers(&self) -> Vec<String> {
        let mut heads = vec!["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"];
        if self.all_namespaces {
            heads.insert(0, "NAMESPACE");
        }
        heads.into_iter().map(str::to_string).collect()
    }
}

/// All events, page by page.
async fn all(shell: &Shell, args: &Args, path: &str) -> Result<Vec<Value>> {
    let limit = match args.chunk_size {
        0 => String::new(),
        size => size.to_string(),
    };
    let (mut events, mut token) = (Vec::new(), String::new());
    loop {
        let page = query(path, &[("limit", &limit), ("continue", &token)]);
        let page = shell.api().await?.get(&page).await?;
        let head = (page.str_at(&["apiVersion"]), page.str_at(&["kind"]));
        let items = page.items_at(&["items"]).iter();
        events.extend(items.map(|event| crate::select::whole(event, head)));
        token = page.str_at(&["metadata", "continue"]).to_string();
        if token.is_empty() {
            return Ok(events);
        }
    }
}

/// Events as they come, those that are there first; the headers stand over the first.
async fn watch(shell: &Shell, args: &Args, path: &str) -> Result {
    let mut reporter = args.print.reporter(DryRun::None)?;
    let path = query(path, &[("watch", "true")]);
    let mut changes = shell.api().await?.watch(&path, "application/json").await?;
    let mut rows = Vec::new();
    if !args.no_headers {
        rows.push(args.headers());
    }
    while let Some(change) = changes.next().await {
        let change = change?;
        let event = change.get("object").cloned().unwrap_or_default();
        match change.str_at(&["type"]) {
            "ERROR" => return Err(Error::refused(event)),
            "ADDED" | "MODIFIED" if args.wants(&event) => {}
            _ => continue,
        }
        if !reporter.is_human() {
            reporter.print(&event)?;
            continue;
        }
        rows.push(row(&event, args.all_namespaces));
        io::out(&columns(&std::mem::take(&mut rows)));
    }
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
