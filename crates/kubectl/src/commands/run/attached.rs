//! What `run` does when the user stays with the pod: waits, attaches, and tells how it ended.

use super::Args;
use crate::attachable;
use crate::deleting::{Deletion, delete};
use crate::error::{Error, Result, said};
use crate::select::Info;
use crate::shell::Shell;
use crate::streaming::session::{self, Session};
use crate::{io, words};
use meta::Value;
use std::time::Duration;

/// How long logs from before the session are waited for.
const EARLIER_LOGS: Duration = Duration::from_secs(5);

/// A user who stays with a pod.
pub(super) struct Attached<'a> {
    pub(super) shell: &'a Shell,
    pub(super) limit: Duration,
    pub(super) session: Session,
    pub(super) detach_keys: &'a str,
}

impl Attached<'_> {
    /// Stays until the session ends; with a restart policy, until the pod has ended, too.
    pub(super) async fn run(&self, info: &Info, policy: Option<&str>) -> Result {
        self.stay(info).await?;
        let Some(policy @ ("Never" | "OnFailure")) = policy else {
            return Ok(());
        };
        let ends: &[&str] = match policy {
            "Never" => &["Succeeded", "Failed"],
            _ => &["Succeeded"],
        };
        let place = (info.namespace.as_str(), info.name.as_str());
        let ended = attachable::until(self.shell, place, Some(self.limit), |pod| {
            Ok(ends.contains(&pod.str_at(&["status", "phase"])))
        });
        how_it_ended(&ended.await?)
    }

    async fn stay(&self, info: &Info) -> Result {
        let place = (info.namespace.as_str(), info.name.as_str());
        let limit = Some(self.limit);
        let pod = attachable::until(self.shell, place, limit, |pod| {
            Ok(has_ended(pod) || is_running_and_ready(pod))
        })
        .await?;
        if has_ended(&pod) {
            return session::show_logs(self.shell, &pod, "", "").await;
        }
        let since = self.earlier_logs(&pod).await;
        let attached =
            session::attach(self.shell, &pod, "", self.detach_keys, self.session.clone());
        match attached.await {
            Err(error @ Error::Exit(_)) => Err(error),
            Err(error) => {
                io::warn(format!(
                    "warning: couldn't attach to pod/{}, falling back to streaming logs: {}",
                    info.name,
                    error.message()
                ));
                session::show_logs(self.shell, &pod, "", &since).await
            }
            Ok(()) => Ok(()),
        }
    }

    /// Shows what was said before the session; gives until when.
    async fn earlier_logs(&self, pod: &Value) -> String {
        let shown = session::show_logs(self.shell, pod, "", "");
        let why = match tokio::time::timeout(EARLIER_LOGS, shown).await {
            Ok(Ok(())) => {
                let now = stdx::Clock::system().wall();
                return now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            }
            Ok(Err(error)) => error.message(),
            Err(_) => "context deadline exceeded".to_string(),
        };
        io::warn(format!("warning: couldn't fetch pre-attach logs: {why}"));
        String::new()
    }
}

fn has_ended(pod: &Value) -> bool {
    ["Succeeded", "Failed"].contains(&pod.str_at(&["status", "phase"]))
}

fn is_running_and_ready(pod: &Value) -> bool {
    let mut conditions = pod.items_at(&["status", "conditions"]).iter();
    pod.str_at(&["status", "phase"]) == "Running"
        && conditions
            .any(|one| one.str_at(&["type"]) == "Ready" && one.str_at(&["status"]) == "True")
}

fn how_it_ended(pod: &Value) -> Result {
    let title = format!(
        "{}/{}",
        pod.str_at(&["metadata", "namespace"]),
        pod.str_at(&["metadata", "name"])
    );
    match pod.str_at(&["status", "phase"]) {
        "Succeeded" => return Ok(()),
        "Failed" => {}
        phase => return said(format!("pod {title} left in phase {phase}")),
    }
    let statuses = pod.items_at(&["status", "containerStatuses"]);
    let ended = statuses
        .first()
        .and_then(|s| s.at(&["state", "terminated"]));
    let code = ended.and_then(|ended| ended.i64_at(&["exitCode"]));
    match (ended, code.and_then(|code| u8::try_from(code).ok())) {
        (Some(ended), Some(code @ 1..)) => Err(Error::Ended {
            words: format!(
                "pod {title} terminated ({})\n{}",
                ended.str_at(&["reason"]),
                ended.str_at(&["message"])
            ),
            code,
        }),
        _ => said(format!("pod {title} failed with unknown exit code")),
    }
}

/// Deletes what was created, and says so.
pub(super) async fn remove(shell: &Shell, created: &[Info], args: &Args) -> Result {
    let propagation = match args.deletion.cascade.as_str() {
        "foreground" => "Foreground",
        "orphan" | "false" => "Orphan",
        _ => "Background",
    };
    let how = Deletion {
        propagation,
        ..Deletion::default()
    };
    for info in created {
        match delete(shell, info, &how).await {
            Ok(_) if args.quiet => {}
            Ok(_) => {
                let done = if args.deletion.force {
                    "force deleted"
                } else {
                    "deleted"
                };
                io::line(format!(
                    "{} {} {done}",
                    info.resource.prefix(),
                    words::quote(&info.name)
                ));
            }
            Err(error) if error.is_not_found() => io::line("No resources found"),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn the_exit_code_is_the_containers() {
        let pod = |phase: &str, terminated: Value| {
            value!({"metadata": {"namespace": "a", "name": "b"}, "status": {
                "phase": (phase),
                "containerStatuses": [{"state": {"terminated": (terminated)}}]
            }})
        };
        assert!(how_it_ended(&pod("Succeeded", value!({}))).is_ok());
        match how_it_ended(&pod("Failed", value!({"exitCode": 3, "reason": "Error"}))) {
            Err(Error::Ended { words, code }) => {
                assert_eq!((words.as_str(), code), ("pod a/b terminated (Error)\n", 3));
            }
            other => panic!("{other:?}"),
        }
        let unknown = how_it_ended(&pod("Failed", value!({}))).expect_err("no code");
        assert_eq!(unknown.to_string(), "pod a/b failed with unknown exit code");
    }
}
