//! Deletion, and waiting until what was deleted is gone.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/delete/delete.go and pkg/cmd/wait/delete.go.

use crate::api::query;
use crate::error::{Error, Result, said};
use crate::print::DryRun;
use crate::select::Info;
use crate::shell::Shell;
use crate::words;
use futures::StreamExt as _;
use http::Method;
use meta::{Value, value};
use std::time::Duration;

/// The options of commands that delete what they cannot change.
#[derive(clap::Args, Clone, Debug)]
pub struct DeleteArgs {
    /// If true, delete at once and create again what cannot be changed.
    #[arg(long)]
    pub force: bool,
    /// Must be "background", "orphan", or "foreground".
    #[arg(long, default_value = "background", num_args = 0..=1, require_equals = true, default_missing_value = "background")]
    pub cascade: String,
    /// Period of time in seconds given to the resource to terminate gracefully.
    #[arg(long, default_value_t = -1)]
    pub grace_period: i64,
    /// The length of time to wait before giving up on a delete; zero means not to give up.
    #[arg(long, default_value = "0s")]
    pub timeout: String,
    /// If true, wait for resources to be gone before returning.
    #[arg(long)]
    pub wait: bool,
}

impl DeleteArgs {
    /// Reads the options.
    pub fn deletion(&self, dry_run: DryRun) -> Result<Deletion> {
        let grace = match self.grace_period {
            given if self.force && given < 0 => 0,
            given => given,
        };
        Ok(Deletion {
            propagation: propagation(&self.cascade)?,
            grace: (grace >= 0).then_some(grace),
            dry_run,
        })
    }

    /// How long to wait until what was deleted is gone.
    pub fn limit(&self) -> Result<Option<Duration>> {
        let seconds = words::duration_flag("--timeout", &self.timeout)?;
        Ok((seconds > 0.0).then(|| Duration::from_secs_f64(seconds)))
    }

    /// Refuses what makes sense for a deletion only.
    pub fn check(&self) -> Result {
        if self.grace_period >= 0 && !self.force {
            return said("--grace-period must have --force specified");
        }
        match self.limit()?.is_some() && !self.force {
            true => said("--timeout must have --force specified"),
            false => Ok(()),
        }
    }
}

/// What `--cascade` says.
pub fn propagation(cascade: &str) -> Result<&'static str> {
    match cascade {
        "background" | "true" => Ok("Background"),
        "foreground" => Ok("Foreground"),
        "orphan" | "false" => Ok("Orphan"),
        other => said(format!(
            "invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""
        )),
    }
}

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
    remove(shell, info, &how, None).await
}

/// Deletes in a way, and waits until it is gone.
pub async fn remove(shell: &Shell, info: &Info, how: &Deletion, limit: Option<Duration>) -> Result {
    let uid = match info.fetch(shell).await {
        Ok(live) => live.str_at(&["metadata", "uid"]).to_string(),
        Err(error) if error.is_not_found() => return Ok(()),
        Err(error) => return Err(error),
    };
    delete(shell, info, how).await?;
    match how.dry_run {
        DryRun::None => wait_gone(shell, info, &uid, limit).await,
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
