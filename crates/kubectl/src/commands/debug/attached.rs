//! Waiting for the debugging container, and the session with it.

use super::Args;
use crate::attachable;
use crate::error::{Error, Result, said};
use crate::shell::Shell;
use crate::streaming::detach;
use crate::streaming::session::{self, Session};
use crate::{io, words};
use meta::Value;

const LISTS: [&str; 3] = [
    "initContainerStatuses",
    "containerStatuses",
    "ephemeralContainerStatuses",
];

pub(super) async fn attach(shell: &Shell, args: &Args, pod: &Value, container: &str) -> Result {
    let namespace = pod.str_at(&["metadata", "namespace"]);
    let name = pod.str_at(&["metadata", "name"]);
    let waiting = attachable::until(shell, (namespace, name), None, |pod| {
        Ok(is_there(pod, container, args.quiet))
    });
    let pod = waiting.await?;
    let Some(status) = status(&pod, container) else {
        return said(format!(
            "error getting container status of container name {}",
            words::quote(container)
        ));
    };
    if status.at(&["state", "terminated"]).is_some() {
        return session::show_logs(shell, &pod, container, "").await;
    }
    let session = Session {
        stdin: args.stdin,
        tty: args.tty,
        quiet: args.quiet,
    };
    match session::attach(shell, &pod, container, detach::DEFAULT, session).await {
        Err(error @ Error::Exit(_)) => Err(error),
        Err(error) => {
            io::warn(format!(
                "warning: couldn't attach to pod/{name}, falling back to streaming logs: {}",
                error.message()
            ));
            session::show_logs(shell, &pod, container, "").await
        }
        Ok(()) => Ok(()),
    }
}

/// Whether the container runs or has run; says what it waits for.
fn is_there(pod: &Value, container: &str, quiet: bool) -> bool {
    let Some(status) = status(pod, container) else {
        return false;
    };
    if ["running", "terminated"]
        .iter()
        .any(|state| status.at(&["state", state]).is_some())
    {
        return true;
    }
    let message = status.str_at(&["state", "waiting", "message"]);
    if !quiet && !message.is_empty() {
        io::warn(format!("Warning: container {container}: {message}"));
    }
    false
}

fn status<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let mut all = LISTS
        .iter()
        .flat_map(|list| pod.items_at(&["status", list]));
    all.find(|status| status.str_at(&["name"]) == container)
}
