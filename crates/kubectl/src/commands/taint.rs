//! `taint`: keeps pods off nodes, or lets them on again.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/taint.

use crate::api::MERGE_PATCH;
use crate::change::{Write, WriteArgs};
use crate::error::{Result, said};
use crate::print::{DryRunArgs, PrintArgs};
use crate::select::{Choice, fetch_all};
use crate::shell::Shell;
use meta::{Value, value};

/// The arguments of `taint`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// `nodes`, names, then `key=value:Effect` to set and `key:Effect-` to remove.
    words: Vec<String>,
    #[command(flatten)]
    print: PrintArgs,
    #[command(flatten)]
    dry_run: DryRunArgs,
    #[command(flatten)]
    write: WriteArgs,
    /// Selector (label query) to filter on.
    #[arg(short = 'l', long, default_value = "")]
    selector: String,
    /// Select all nodes in the cluster.
    #[arg(long)]
    all: bool,
    /// If true, allow taints to be overwritten.
    #[arg(long)]
    overwrite: bool,
}

struct Change {
    key: String,
    value: String,
    effect: String,
    remove: bool,
}

/// Runs it.
pub async fn run(shell: &Shell, args: Args) -> Result {
    let is_change = |word: &String| word.contains('=') || word.contains(':') || word.ends_with('-');
    let at = args
        .words
        .iter()
        .position(is_change)
        .unwrap_or(args.words.len());
    let (resources, specs) = args.words.split_at(at);
    let changes = specs
        .iter()
        .map(|spec| parse(spec))
        .collect::<Result<Vec<_>>>();
    let changes = changes.or_else(|error| {
        said(format!(
            "{error}\nSee 'kubectl taint -h' for help and examples"
        ))
    })?;
    if changes.is_empty() {
        return said("at least one taint update is required");
    }
    let choice = Choice {
        arguments: resources,
        labels: &args.selector,
        all: args.all,
        ..Choice::default()
    };
    let dry_run = args.dry_run.get()?;
    let write = Write::new(&args.write, "kubectl-taint", dry_run)?;
    let mut reporter = args.print.reporter(dry_run)?;
    for info in fetch_all(shell, &choice).await? {
        let present = info.object.items_at(&["spec", "taints"]).to_vec();
        let taints = apply(&info.name, &present, &changes, args.overwrite)?;
        let version = info.object.str_at(&["metadata", "resourceVersion"]);
        let patch =
            value!({"metadata": {"resourceVersion": (version)}, "spec": {"taints": (taints)}});
        let object = match write.is_local() {
            true => info.object.clone(),
            false => write.patch(shell, &info, MERGE_PATCH, &patch).await?,
        };
        let removes = changes.iter().filter(|change| change.remove).count();
        reporter.report(
            &object,
            match removes {
                0 => "tainted",
                n if n == changes.len() => "untainted",
                _ => "modified",
            },
        )?;
    }
    Ok(())
}

fn parse(spec: &str) -> Result<Change> {
    let (spec, remove) = match spec.strip_suffix('-') {
        Some(spec) => (spec, true),
        None => (spec, false),
    };
    let (pair, effect) = spec.split_once(':').unwrap_or((spec, ""));
    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
    let known = ["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&effect);
    if !known && !(remove && effect.is_empty()) {
        return said(match effect {
            "" => format!("unknown taint spec: {spec}"),
            _ => format!("invalid taint effect: {effect}, unsupported taint effect"),
        });
    }
    Ok(Change {
        key: key.into(),
        value: value.into(),
        effect: effect.into(),
        remove,
    })
}

fn apply(node: &str, present: &[Value], changes: &[Change], overwrite: bool) -> Result<Vec<Value>> {
    let mut taints = present.to_vec();
    for change in changes {
        let same = |taint: &Value| {
            taint.str_at(&["key"]) == change.key
                && (change.effect.is_empty() || taint.str_at(&["effect"]) == change.effect)
        };
        let found = taints.iter().any(same);
        if change.remove && !found {
            let effect = if change.effect.is_empty() {
                String::new()
            } else {
                format!(":{}", change.effect)
            };
            return said(format!("taint \"{}{effect}\" not found", change.key));
        }
        if !change.remove && found && !overwrite {
            return said(format!(
                "node {node} already has {} taint(s) with same effect(s) and --overwrite is false",
                change.key
            ));
        }
        taints.retain(|taint| !same(taint));
        if !change.remove {
            let mut taint =
                value!({"key": (change.key.as_str()), "effect": (change.effect.as_str())});
            if !change.value.is_empty() {
                taint.set_at(&["value"], change.value.as_str());
            }
            taints.push(taint);
        }
    }
    Ok(taints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taints_come_and_go() {
        let change = |spec: &str| vec![parse(spec).expect(spec)];
        let one = apply("n", &[], &change("a=b:NoSchedule"), false).expect("a taint");
        assert_eq!(one.len(), 1);
        assert!(apply("n", &one, &change("a=c:NoSchedule"), false).is_err());
        assert!(
            apply("n", &one, &change("a-"), false)
                .expect("none")
                .is_empty()
        );
        assert!(apply("n", &one, &change("x-"), false).is_err());
        assert!(parse("a=b:Never").is_err());
    }
}
