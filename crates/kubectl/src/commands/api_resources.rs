//! `api-resources`: what the cluster serves.

use crate::discovery::Resource;
use crate::error::{Result, said};
use crate::io;
use crate::shell::Shell;
use crate::words::columns;
use std::sync::Arc;

/// The arguments of `api-resources`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Limit to resources in the specified API group.
    #[arg(long)]
    api_group: Option<String>,
    /// If false, non-namespaced resources will be returned, otherwise namespaced resources.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    namespaced: Option<bool>,
    /// Limit to resources that support the specified verbs.
    #[arg(long, value_delimiter = ',')]
    verbs: Vec<String>,
    /// Limit to resources that belong to the specified categories.
    #[arg(long, value_delimiter = ',')]
    categories: Vec<String>,
    /// Sort by name or kind.
    #[arg(long, default_value = "")]
    sort_by: String,
    /// Don't print headers.
    #[arg(long)]
    no_headers: bool,
    /// Use cached list of resources if available; nothing is cached.
    #[arg(long)]
    cached: bool,
    /// Output format: wide or name.
    #[arg(short, long, default_value = "")]
    output: String,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    if !["", "wide", "name"].contains(&args.output.as_str()) {
        return said(format!("--output {} is not available", args.output));
    }
    if !["", "name", "kind"].contains(&args.sort_by.as_str()) {
        return said("--sort-by accepts only name or kind");
    }
    let mut all: Vec<Arc<Resource>> = shell.discovery().await?.preferred();
    all.retain(|r| is_wanted(r, &args));
    match args.sort_by.as_str() {
        "name" => all.sort_by(|a, b| a.name.cmp(&b.name)),
        "kind" => all.sort_by(|a, b| a.kind.cmp(&b.kind)),
        _ => all.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name))),
    }
    if args.output == "name" {
        all.iter().for_each(|r| io::line(r.group_resource()));
        return Ok(());
    }
    let wide = args.output == "wide";
    let mut rows = Vec::new();
    if !args.no_headers {
        let mut head = vec!["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"];
        if wide {
            head.extend(["VERBS", "CATEGORIES"]);
        }
        rows.push(head.into_iter().map(str::to_string).collect());
    }
    rows.extend(all.iter().map(|r| row(r, wide)));
    io::out(&columns(&rows));
    Ok(())
}

fn is_wanted(resource: &Resource, args: &Args) -> bool {
    let has = |all: &[String], wanted: &[String]| wanted.iter().all(|w| all.contains(w));
    !resource.verbs.is_empty()
        && args.api_group.as_ref().is_none_or(|g| *g == resource.group)
        && args.namespaced.is_none_or(|n| n == resource.namespaced)
        && has(&resource.verbs, &args.verbs)
        && has(&resource.categories, &args.categories)
}

fn row(resource: &Resource, wide: bool) -> Vec<String> {
    let mut row = vec![
        resource.name.clone(),
        resource.short_names.join(","),
        resource.group_version(),
        resource.namespaced.to_string(),
        resource.kind.clone(),
    ];
    if wide {
        row.extend([resource.verbs.join(","), resource.categories.join(",")]);
    }
    row
}
