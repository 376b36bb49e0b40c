//! `top node`.

use super::usage::{amount, shown, table, title};
use super::{Common, items, root};
use crate::api::query;
use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use meta::Value;
use meta::quantity::Quantity;
use std::cmp::Reverse;

/// The arguments of `top node`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The node; all nodes by default.
    name: Option<String>,
    #[command(flatten)]
    common: Common,
    /// Print node resources based on Capacity instead of Allocatable.
    #[arg(long)]
    show_capacity: bool,
}

const UNKNOWN: &str = "<unknown>";

/// Runs it.
pub(super) async fn run(shell: &Shell, args: &Args) -> Result {
    args.common.check()?;
    if args.name.is_some() && !args.common.selector.is_empty() {
        return said("only one of NAME or --selector can be provided");
    }
    let mut metrics = read(shell, args, &root(shell).await?).await?;
    if metrics.is_empty() {
        return said("metrics not available yet");
    }
    let nodes = read(shell, args, "/api/v1").await?;
    metrics.sort_by(|a, b| name(a).cmp(name(b)));
    let by = args.common.sort_by.as_str();
    if !by.is_empty() {
        metrics.sort_by_key(|node| Reverse(amount(node.get("usage"), by)));
    }
    io::out(&table(&rows(args, &metrics, &nodes)));
    Ok(())
}

fn name(object: &Value) -> &str {
    object.str_at(&["metadata", "name"])
}

async fn read(shell: &Shell, args: &Args, root: &str) -> Result<Vec<Value>> {
    let path = match &args.name {
        Some(name) => format!("{root}/nodes/{name}"),
        None => query(
            &format!("{root}/nodes"),
            &[("labelSelector", &args.common.selector)],
        ),
    };
    let answer = shell.api().await?.get(&path).await?;
    Ok(items(answer, args.name.is_some()))
}

fn rows(args: &Args, metrics: &[Value], nodes: &[Value]) -> Vec<Vec<String>> {
    let resources = args.common.resources();
    let mut rows = Vec::new();
    if !args.common.no_headers {
        let shares = ["CPU(%)", "MEMORY(%)", "SWAP(%)"];
        let titles = resources.iter().zip(shares);
        let mut head = vec!["NAME".to_string()];
        head.extend(titles.flat_map(|(r, share)| [title(r).to_string(), share.to_string()]));
        rows.push(head);
    }
    for measured in metrics {
        let node = nodes.iter().find(|node| name(node) == name(measured));
        let mut row = vec![name(measured).to_string()];
        for resource in resources {
            row.extend(cells(args, measured, node, resource));
        }
        rows.push(row);
    }
    let is_missing = |node: &&Value| metrics.iter().all(|m| name(m) != name(node));
    for node in nodes.iter().filter(is_missing) {
        let mut row = vec![name(node).to_string()];
        row.extend(
            resources
                .iter()
                .flat_map(|_| [UNKNOWN.to_string(), UNKNOWN.to_string()]),
        );
        rows.push(row);
    }
    rows
}

/// How much is used, and which share of what there is.
fn cells(args: &Args, measured: &Value, node: Option<&Value>, resource: &str) -> Vec<String> {
    let Some(node) = node else {
        return vec![shown(resource, amount(measured.get("usage"), resource))];
    };
    let of = if args.show_capacity {
        "capacity"
    } else {
        "allocatable"
    };
    let available = match resource {
        "swap" => node
            .i64_at(&["status", "nodeInfo", "swap", "capacity"])
            .map(Quantity::from_bytes),
        _ => node
            .at(&["status", of, resource])
            .map(|_| amount(node.at(&["status", of]), resource)),
    };
    let used = amount(measured.get("usage"), resource);
    match available {
        None if resource == "swap" => vec![UNKNOWN.into(), UNKNOWN.into()],
        None => vec![shown(resource, used)],
        Some(available) if available.is_zero() => vec![shown(resource, used), "0%".into()],
        Some(available) => {
            let share = used.as_f64() / available.as_f64() * 100.0;
            vec![shown(resource, used), format!("{}%", share as i64)]
        }
    }
}
