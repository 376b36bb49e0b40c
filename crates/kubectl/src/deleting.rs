//! Deletion, and waiting until what was deleted is gone.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go and pkg/cmd/wait/delete.go.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::print::DryRun;
use crate::select::Info;
use crate::shell::Shell;
use futures::StreamExt as _;
use http::Method;
use meta::{Value, value};
use std::time::Duration;

/// How a deletion is asked for.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// `Background`, `Foreground`, `Orphan`, or empty.
    pub propagation: &'static str,
    /// The grace period; the object's own when it is none.
    pub grace: Option<i64>,
    /// Whether it is only tried.
    pub dry_run: DryRun,
}

/// Deletes; gives what the server answers.
pub async fn delete(shell: &Shell, info: &Info, how: &Deletion) -> Result<Value> {
    let mut options = value!({"apiVersion": "v1", "kind": "DeleteOptions"});
    if !how.propagation.is_empty() {
        options.set_at(&["propagationPolicy"], how.propagation);
    }
    if let Some(grace) = how.grace {
        options.set_at(&["gracePeriodSeconds"], grace);
    }
    if how.dry_run == DryRun::Server {
        options.set_at(&["dryRun"], vec!["All"]);
    }
    let api = shell.api().await?;
    api.send(Method::DELETE, &info.path(), &options).await
}

/// Deletes, with its dependents, and waits until it is gone.
pub async fn delete_and_wait(shell: &Shell, info: &Info, dry_run: DryRun) -> Result {
    let how = Deletion {
        propagation: "Background",
        dry_run,
        ..Deletion::default()
    };
    let uid = match info.fetch(shell).await {
        Ok(live) => live.str_at(&["metadata", "uid"]).to_string(),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    delete(shell, info, &how).await?;
    match dry_run {
        DryRun::None => wait_gone(shell, info, &uid, None).await,
        _ => Ok(()),
    }
}

/// Waits until an object of this uid is gone.
pub async fn wait_gone(shell: &Shell, info: &Info, uid: &str, limit: Option<Duration>) -> Result {
    let wait = until_gone(shell, info, uid);
    match limit {
        None => wait.await,
        Some(limit) => match tokio::time::timeout(limit, wait).await {
            Ok(done) => done,
            Err(_) => said(format!(
                "timed out waiting for the condition on {}/{}",
                info.resource.name, info.name
            )),
        },
    }
}

async fn until_gone(shell: &Shell, info: &Info, uid: &str) -> Result {
    let api = shell.api().await?;
    let fields = format!("metadata.name={}", info.name);
    let path = query(
        &info.resource.collection(&info.namespace),
        &[("fieldSelector", &fields)],
    );
    loop {
        let list = api.get(&path).await?;
        let present = list.items_at(&["items"]).first();
        let gone = present
            .is_none_or(|object| !uid.is_empty() && object.str_at(&["metadata", "uid"]) != uid);
        if gone {
            return Ok(());
        }
        let version = list.str_at(&["metadata", "resourceVersion"]);
        let watch = query(&path, &[("watch", "true"), ("resourceVersion", version)]);
        let mut events = match api.watch(&watch, "application/json").await {
            Ok(events) => events,
            Err(Error::Refused(_)) => continue,
            Err(error) => return Err(error),
        };
        while let Some(Ok(event)) = events.next().await {
            match event.str_at(&["type"]) {
                "DELETED" => return Ok(()),
                "ERROR" => break,
                _ => {}
            }
        }
    }
}
