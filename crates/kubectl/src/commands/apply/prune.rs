//! `apply --prune`: deletes what was applied before and is not in the files any more.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/apply/prune.go and pkg/util/prune. Kinds that the
//! cluster does not serve have no objects: they are passed over where upstream refuses to go on.

use super::{Args, LAST_APPLIED};
use crate::deleting::{Deletion, delete};
use crate::discovery::Resource;
use crate::error::{Result, said};
use crate::print::{DryRun, Reporter};
use crate::select::{Choice, Info, list};
use crate::shell::Shell;
use meta::Value;
use std::sync::Arc;

/// The kinds that are pruned when nobody names others.
const KINDS: [(&str, &str); 16] = [
    ("v1", "ConfigMap"),
    ("v1", "Endpoints"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("networking.k8s.io/v1", "Ingress"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
];

pub(super) struct Pruner<'a> {
    shell: &'a Shell,
    selector: &'a str,
    resources: Vec<Arc<Resource>>,
    how: Deletion,
}

impl<'a> Pruner<'a> {
    /// What is to be pruned, if anything.
    pub(super) async fn new(
        shell: &'a Shell,
        args: &'a Args,
        dry_run: DryRun,
    ) -> Result<Option<Self>> {
        if !args.prune {
            return Ok(None);
        }
        if args.delete.force {
            return said("--force cannot be used with --prune");
        }
        if !args.all && args.selector.is_empty() {
            return said(
                "all resources selected for prune without explicitly passing --all. To prune all resources, pass the --all flag. If you did not mean to prune all resources, specify a label selector",
            );
        }
        if args.server_side {
            return said(
                "--prune is in alpha and doesn't currently work on objects created by server-side apply",
            );
        }
        Ok(Some(Pruner {
            shell,
            selector: &args.selector,
            resources: resources(shell, &args.prune_allowlist).await?,
            how: args.delete.deletion(dry_run)?,
        }))
    }

    /// Deletes what was applied before and is not there any more.
    pub(super) async fn run(&self, applied: &[Value], reporter: &mut Reporter) -> Result {
        for info in superfluous(self.shell, &self.resources, self.selector, applied).await? {
            if self.how.dry_run != DryRun::Client {
                delete(self.shell, &info, &self.how).await?;
            }
            reporter.report(&info.object, "pruned")?;
        }
        Ok(())
    }
}

/// What `apply --prune` would delete beside these objects.
pub(crate) async fn pruned(
    shell: &Shell,
    allowed: &[String],
    selector: &str,
    kept: &[Value],
) -> Result<Vec<Info>> {
    let resources = resources(shell, allowed).await?;
    superfluous(shell, &resources, selector, kept).await
}

/// In the namespaces of what is kept: what was applied once and is none of it.
async fn superfluous(
    shell: &Shell,
    resources: &[Arc<Resource>],
    selector: &str,
    kept: &[Value],
) -> Result<Vec<Info>> {
    let mut namespaces: Vec<&str> = kept
        .iter()
        .map(|object| object.str_at(&["metadata", "namespace"]))
        .filter(|namespace| !namespace.is_empty())
        .collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    let (inside, outside): (Vec<_>, Vec<_>) = resources.iter().partition(|r| r.namespaced);
    let places = namespaces
        .iter()
        .flat_map(|namespace| inside.iter().map(move |resource| (*resource, *namespace)))
        .chain(outside.iter().map(|resource| (*resource, "")));
    let choice = Choice {
        labels: selector,
        ..Choice::default()
    };
    let mut out = Vec::new();
    for (resource, namespace) in places {
        let found = list(shell, resource, namespace, &choice).await?;
        out.extend(found.into_iter().filter(|info| {
            let uid = info.object.str_at(&["metadata", "uid"]);
            let stays = kept
                .iter()
                .any(|object| object.str_at(&["metadata", "uid"]) == uid);
            let annotations = info.object.at(&["metadata", "annotations"]);
            !stays && annotations.is_some_and(|all| all.get(LAST_APPLIED).is_some())
        }));
    }
    Ok(out)
}

async fn resources(shell: &Shell, named: &[String]) -> Result<Vec<Arc<Resource>>> {
    let discovery = shell.discovery().await?;
    if named.is_empty() {
        let served = KINDS
            .iter()
            .filter_map(|(version, kind)| discovery.of_kind(version, kind));
        return Ok(served.collect());
    }
    let mut out = Vec::new();
    for text in named {
        let parts: Vec<&str> = text.split('/').collect();
        let [group, version, kind] = parts.as_slice() else {
            return said(format!(
                "invalid GroupVersionKind format: {text}, please follow <group/version/kind>"
            ));
        };
        let version = match *group {
            "" | "core" => version.to_string(),
            group => format!("{group}/{version}"),
        };
        match discovery.of_kind(&version, kind) {
            Some(resource) => out.push(resource),
            None => {
                return said(format!(
                    "no matches for kind \"{kind}\" in version \"{version}\""
                ));
            }
        }
    }
    Ok(out)
}
