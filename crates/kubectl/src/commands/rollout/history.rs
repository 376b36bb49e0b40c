//! The revisions of an object, from what keeps them: replica sets or controller revisions.

use crate::error::{Result, said};
use crate::io;
use crate::pods::selector_text;
use crate::print::Reporter;
use crate::select::Info;
use crate::shell::Shell;
use crate::{api::query, words};
use meta::Value;

const REVISION: &str = "deployment.kubernetes.io/revision";
const CAUSE: &str = "kubernetes.io/change-cause";

struct Revision {
    number: i64,
    cause: String,
    template: Value,
    /// What a program is shown: the replica set, or the object as it was.
    object: Value,
}

/// Prints the objects of all revisions, or of one, for programs.
pub(super) async fn print(
    shell: &Shell,
    info: &Info,
    revision: i64,
    reporter: &mut Reporter,
) -> Result {
    let mut all = revisions(shell, info).await?;
    all.sort_by_key(|r| r.number);
    if revision > 0 {
        all.retain(|r| r.number == revision);
        if all.is_empty() {
            return said("unable to find the specified revision");
        }
    }
    all.iter().try_for_each(|r| reporter.print(&r.object))
}

/// Shows all revisions, or one.
pub(super) async fn show(shell: &Shell, info: &Info, revision: i64) -> Result {
    let mut all = revisions(shell, info).await?;
    all.sort_by_key(|r| r.number);
    if revision > 0 {
        let Some(found) = all.iter().find(|r| r.number == revision) else {
            return said("unable to find the specified revision");
        };
        io::line(format!("{} with revision #{revision}", info.title()));
        io::line(crate::describe::pod_template(&found.template));
        return Ok(());
    }
    io::line(format!("{} ", info.title()));
    let mut rows = vec![vec!["REVISION".to_string(), "CHANGE-CAUSE".to_string()]];
    for r in all {
        let cause = if r.cause.is_empty() {
            "<none>".to_string()
        } else {
            r.cause
        };
        rows.push(vec![r.number.to_string(), cause]);
    }
    io::line(words::columns_with(&rows, 0, 2));
    Ok(())
}

/// The template of a revision; of the one before the present one for zero.
pub(super) async fn target(shell: &Shell, info: &Info, to: i64) -> Result<(i64, Value)> {
    let mut all = revisions(shell, info).await?;
    all.sort_by_key(|r| r.number);
    let found = match to {
        0 if all.len() < 2 => {
            return said(format!(
                "no rollout history found for {} {}",
                info.resource.kind.to_lowercase(),
                words::quote(&info.name)
            ));
        }
        0 => all.get(all.len() - 2),
        to => all.iter().find(|r| r.number == to),
    };
    match found {
        Some(found) => Ok((found.number, found.template.clone())),
        None => said(format!("unable to find specified revision {to} in history")),
    }
}

async fn revisions(shell: &Shell, info: &Info) -> Result<Vec<Revision>> {
    let uid = info.object.str_at(&["metadata", "uid"]);
    let selector = info
        .object
        .at(&["spec", "selector"])
        .map(selector_text)
        .unwrap_or_default();
    let owned = |object: &&Value| {
        let mut owners = object.items_at(&["metadata", "ownerReferences"]).iter();
        owners.any(|owner| owner.str_at(&["uid"]) == uid)
    };
    let kind = match info.resource.kind.as_str() {
        "Deployment" => "replicasets",
        "DaemonSet" | "StatefulSet" => "controllerrevisions",
        _ => {
            return said(format!(
                "no history viewer has been implemented for {:?}",
                info.resource.kind
            ));
        }
    };
    let path = format!("/apis/apps/v1/namespaces/{}/{kind}", info.namespace);
    let list = shell
        .api()
        .await?
        .get(&query(&path, &[("labelSelector", &selector)]))
        .await?;
    let head = (list.str_at(&["apiVersion"]), list.str_at(&["kind"]));
    let all = list.items_at(&["items"]).iter().filter(owned);
    Ok(all
        .map(|object| Revision {
            number: match kind {
                "replicasets" => object
                    .str_at(&["metadata", "annotations", REVISION])
                    .parse()
                    .unwrap_or(0),
                _ => object.i64_at(&["revision"]).unwrap_or(0),
            },
            cause: object
                .str_at(&["metadata", "annotations", CAUSE])
                .to_string(),
            template: object
                .at(&["spec", "template"])
                .or_else(|| object.at(&["data", "spec", "template"]))
                .cloned()
                .unwrap_or_default(),
            object: match object.at(&["data", "spec", "template"]) {
                Some(template) => {
                    let mut was = info.object.clone();
                    was.set_at(&["spec", "template"], template.clone());
                    was
                }
                None => crate::select::whole(object, head),
            },
        })
        .collect())
}
