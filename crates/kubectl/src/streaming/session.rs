//! What exec, attach, run and debug have in common: a session with a container.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/exec/exec.go and pkg/cmd/attach/attach.go.

use super::detach::Keys;
use super::remote::{Ends, converse};
use super::standard;
use super::terminal::{self, Size, Sizes};
use crate::api::query;
use crate::error::{Result, said};
use crate::shell::Shell;
use crate::{io, pods};
use futures::StreamExt as _;
use meta::Value;

/// How a session is wanted.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// With input.
    pub stdin: bool,
    /// With a terminal.
    pub tty: bool,
    /// Only with what the other side says.
    pub quiet: bool,
}

impl Session {
    /// Whether the terminal passes keys as they are typed; says when it cannot.
    fn is_raw(&self) -> bool {
        if !self.stdin || !self.tty {
            return false;
        }
        let has_keys = terminal::has_keys();
        if !has_keys && !self.quiet {
            io::warn("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
        has_keys
    }

    fn ends(&self, raw: bool) -> Result<Ends> {
        let mut ends = Ends {
            stdout: Some(standard::output()),
            stderr: (!raw).then(standard::errors),
            ..Ends::default()
        };
        if self.stdin {
            ends.stdin = Some(Box::new(standard::input()?));
        }
        Ok(ends)
    }
}

/// Runs a command in a container of a pod.
pub async fn execute(
    shell: &Shell,
    pod: &Value,
    container: &str,
    command: &[String],
    session: &Session,
) -> Result {
    let raw = session.is_raw();
    let mut ends = session.ends(raw)?;
    if raw {
        ends.sizes = terminal::size().map(|size| Sizes::beginning_with([size]));
    }
    let path = exec_path(pod, container, command, &ends, raw);
    let api = shell.api().await?;
    terminal::safely(raw, converse(api, &path, ends)).await
}

/// The path of a command, with the streams that it has.
pub fn exec_path(
    pod: &Value,
    container: &str,
    command: &[String],
    ends: &Ends,
    tty: bool,
) -> String {
    let mut path = format!("{}/exec", path_of(pod));
    for (at, word) in command.iter().enumerate() {
        let mark = if at == 0 { '?' } else { '&' };
        // A word may be empty and is one all the same.
        path = match word.as_str() {
            "" => format!("{path}{mark}command="),
            word => query(&path, &[("command", word)]),
        };
    }
    streams(&path, container, ends, ends.stderr.is_some(), tty)
}

fn path_of(pod: &Value) -> String {
    let namespace = pod.str_at(&["metadata", "namespace"]);
    let name = pod.str_at(&["metadata", "name"]);
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

fn streams(path: &str, container: &str, ends: &Ends, stderr: bool, tty: bool) -> String {
    let flag = |on: bool| if on { "true" } else { "" };
    query(
        path,
        &[
            ("container", container),
            ("stderr", flag(stderr)),
            ("stdin", flag(ends.stdin.is_some())),
            ("stdout", flag(ends.stdout.is_some())),
            ("tty", flag(tty)),
        ],
    )
}

/// Joins a container's own streams.
pub async fn attach(
    shell: &Shell,
    pod: &Value,
    asked: &str,
    detach_keys: &str,
    mut session: Session,
) -> Result {
    let name = pods::container(pod, asked, session.quiet)
        .or_else(|error| said(format!("cannot attach to the container: {error}")))?;
    let found = pods::find_container(pod, &name);
    let has_tty = found.is_some_and(|(container, _)| container.is_true_at(&["tty"]));
    if session.tty && !has_tty && !session.quiet {
        io::warn(format!(
            "error: Unable to use a TTY - container {name} did not allocate one"
        ));
    }
    // What the container writes has no headers when it has a terminal, asked for or not.
    session.tty = has_tty;
    let raw = session.is_raw();
    let mut ends = session.ends(raw)?;
    if raw {
        ends.sizes = terminal::size().map(redrawing);
        ends.detach = Some(Keys::parse(detach_keys)?);
    }
    if !session.quiet {
        io::warn(
            "All commands and output from this session will be recorded in container logs, including credentials and sensitive information passed through the command prompt.",
        );
        io::warn("If you don't see a command prompt, try pressing enter.");
    }
    let path = format!("{}/attach", path_of(pod));
    let path = streams(&path, &name, &ends, !raw, raw);
    let api = shell.api().await?;
    terminal::safely(raw, converse(api, &path, ends)).await?;
    if raw && !session.quiet {
        io::line(farewell(pod, &name));
    }
    Ok(())
}

/// Shows what a container has said: since a time, or all of it. The first container, or the default
/// one, when none is named.
pub async fn show_logs(shell: &Shell, pod: &Value, container: &str, since: &str) -> Result {
    let container = pods::container(pod, container, true)?;
    let path = format!("{}/log", path_of(pod));
    let path = query(&path, &[("container", &container), ("sinceTime", since)]);
    let mut pieces = shell.api().await?.stream(&path, "*/*").await?;
    while let Some(piece) = pieces.next().await {
        io::bytes(&piece?);
    }
    Ok(())
}

/// A size that changes makes the program at the other side draw its screen anew.
fn redrawing(size: Size) -> Sizes {
    let larger = Size {
        width: size.width.saturating_add(1),
        height: size.height.saturating_add(1),
    };
    Sizes::beginning_with([larger, size])
}

fn farewell(pod: &Value, container: &str) -> String {
    let name = pod.str_at(&["metadata", "name"]);
    let namespace = pod.str_at(&["metadata", "namespace"]);
    let again = format!("'kubectl attach {name} -c {container} -n {namespace} -i -t'");
    match pods::find_container(pod, container) {
        Some((_, "ephemeralContainers")) => format!(
            "Session ended, the ephemeral container will not be restarted but may be reattached using {again} if it is still running"
        ),
        _ => format!("Session ended, resume using {again} command"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meta::value;

    #[test]
    fn paths_keep_every_word_of_a_command() {
        let pod = value!({"metadata": {"name": "a", "namespace": "b"}});
        let ends = Ends {
            stdin: Some(Box::new(tokio::io::empty())),
            stdout: Some(Box::new(tokio::io::sink())),
            ..Ends::default()
        };
        let command = ["sh", "", "-c", "a b"].map(str::to_string);
        assert_eq!(
            exec_path(&pod, "c", &command, &ends, true),
            "/api/v1/namespaces/b/pods/a/exec?command=sh&command=&command=-c&command=a%20b&container=c&stdin=true&stdout=true&tty=true"
        );
    }
}
