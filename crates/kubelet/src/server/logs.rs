//! `/containerLogs/NS/POD/CONTAINER`: what a container wrote.
//!
//! Follows pkg/kubelet/kubelet_pods.go, GetKubeletContainerLogs and
//! validateContainerLogStatus, also in its words.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use container::Runtime;
use container::status::ContainerState as RuntimeState;
use futures::{FutureExt, StreamExt, stream};
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use jiff::SignedDuration;
use stdx::{Clock, Importance};
use tokio::sync::mpsc;
use typed::Typed;
use typed::api::core::v1::{ContainerStatus, PodStatus};

use super::query::Query;
use super::{Answer, Server, text};
use crate::doors::BoxError;
use crate::logs::{LogOptions, Stream, follow};
use crate::status::bare_id;

pub(super) async fn answer(
    server: &Arc<Server>,
    request: &Request<Incoming>,
    namespace: &str,
    name: &str,
    container: &str,
) -> Answer {
    let cx = &server.handle.cx;
    let pod = match server.pod(namespace, name, None) {
        Ok(pod) => pod,
        Err(answer) => return *answer,
    };
    if crate::pod::container(&pod, container).is_none() {
        let words = format!("container \"{container}\" not found in pod \"{name}\"");
        return text(StatusCode::NOT_FOUND, words);
    }
    let query = Query::of(request);
    let options = match options(&query, &cx.clock) {
        Ok(options) => options,
        Err(words) => return text(StatusCode::UNPROCESSABLE_ENTITY, words),
    };
    let status = cx.status.last(&pod);
    let id = match choose(&status, name, container, query.flag(&["previous"])) {
        Ok(id) => id,
        Err(words) => return text(StatusCode::BAD_REQUEST, words),
    };
    let found = cx.runtime.container_status(&id).await;
    let path = found.ok().and_then(|status| status.log_path);
    let Some(path) = path.filter(|path| path.exists()) else {
        let words = format!(
            "unable to retrieve container logs for {}://{id}",
            cx.runtime_name
        );
        return text(StatusCode::BAD_REQUEST, words);
    };
    tracing::debug!(pod = pod.key(), container, "reading logs");
    streamed(server, path, id, options)
}

fn options(query: &Query, clock: &Clock) -> Result<LogOptions, String> {
    let tail_lines: Option<i64> = query.number("tailLines")?;
    let limit_bytes: Option<i64> = query.number("limitBytes")?;
    let since_seconds: Option<i64> = query.number("sinceSeconds")?;
    let at_least = |name: &str, value: Option<i64>, least: i64| match value {
        Some(value) if value < least => Err(format!("{name} must be at least {least}")),
        value => Ok(value.and_then(|value| u64::try_from(value).ok())),
    };
    let since_time = query.get("sinceTime").filter(|text| !text.is_empty());
    let since_time = match since_time {
        Some(text) => Some(
            text.parse()
                .map_err(|_| format!("invalid sinceTime: {text:?}"))?,
        ),
        None => None,
    };
    let since = match since_seconds {
        Some(_) if since_time.is_some() => {
            return Err("at most one of sinceTime or sinceSeconds may be specified".to_owned());
        }
        Some(seconds) if seconds < 1 => {
            return Err("sinceSeconds must be greater than 0".to_owned());
        }
        Some(seconds) => clock
            .wall()
            .saturating_sub(SignedDuration::from_secs(seconds))
            .ok(),
        None => since_time,
    };
    Ok(LogOptions {
        follow: query.flag(&["follow"]),
        tail_lines: at_least("tailLines", tail_lines, 0)?,
        limit_bytes: at_least("limitBytes", limit_bytes, 1)?,
        since,
        timestamps: query.flag(&["timestamps"]),
        stream: match query.get("stream") {
            None | Some("" | "All") => None,
            Some("Stdout") => Some(Stream::Stdout),
            Some("Stderr") => Some(Stream::Stderr),
            Some(other) => return Err(format!("invalid stream: {other:?}")),
        },
    })
}

/// The id of the container whose log is wanted.
fn choose(
    status: &PodStatus,
    pod: &str,
    container: &str,
    previous: bool,
) -> Result<String, String> {
    let all = [
        &status.container_statuses,
        &status.init_container_statuses,
        &status.ephemeral_container_statuses,
    ];
    let mut all = all.into_iter().flat_map(|list| list.iter().flatten());
    let Some(status) = all.find(|status| status.name == container) else {
        return Err(format!(
            "container \"{container}\" in pod \"{pod}\" is not available"
        ));
    };
    choose_one(status, pod, container, previous)
}

fn choose_one(
    status: &ContainerStatus,
    pod: &str,
    container: &str,
    previous: bool,
) -> Result<String, String> {
    let state = status.state.clone().unwrap_or_default();
    let last = status
        .last_state
        .as_ref()
        .and_then(|last| last.terminated.as_ref());
    let last = last.map(|last| bare_id(last.container_id.as_deref()).to_owned());
    let last_known = last.clone().filter(|id| !id.is_empty());
    let whose = format!("container \"{container}\" in pod \"{pod}\"");
    if previous {
        return last_known.ok_or_else(|| format!("previous terminated {whose} not found"));
    }
    if state.running.is_some() {
        return Ok(bare_id(status.container_id.as_deref()).to_owned());
    }
    if let Some(ended) = &state.terminated {
        let own = bare_id(ended.container_id.as_deref()).to_owned();
        let found = Some(own).filter(|id| !id.is_empty()).or(last_known);
        return found.ok_or_else(|| format!("{whose} is terminated"));
    }
    if last.is_some() {
        return last_known.ok_or_else(|| format!("{whose} is terminated"));
    }
    let reason = state.waiting.and_then(|waiting| waiting.reason);
    Err(match reason.as_deref() {
        Some("ErrImagePull") => format!("{whose} is waiting to start: image can't be pulled"),
        Some("ImagePullBackOff") => {
            format!("{whose} is waiting to start: trying and failing to pull image")
        }
        Some(reason) => format!("{whose} is waiting to start: {reason}"),
        None => format!("{whose} is waiting to start - no logs yet"),
    })
}

fn streamed(server: &Arc<Server>, path: PathBuf, id: String, options: LogOptions) -> Answer {
    let cx = &server.handle.cx;
    let (sender, receiver) = mpsc::channel::<Bytes>(16);
    let runtime: Arc<dyn Runtime> = Arc::clone(&cx.runtime);
    let ended = move || {
        let (runtime, id) = (Arc::clone(&runtime), id.clone());
        async move {
            let status = runtime.container_status(&id).await;
            !status.is_ok_and(|status| status.state == RuntimeState::Running)
        }
        .boxed()
    };
    let clock = cx.clock.clone();
    let shown = path.display().to_string();
    cx.supervisor
        .spawn("container log", Importance::Ordinary, async move {
            if let Err(error) = follow(path, options, clock, ended, sender).await {
                tracing::warn!(path = shown, %error, "cannot read a log");
            }
        });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let bytes = receiver.recv().await?;
        Some((Ok::<_, BoxError>(Frame::data(bytes)), receiver))
    });
    let mut answer = Response::new(StreamBody::new(pieces.boxed()).boxed_unsync());
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: serde_json::Value, last: serde_json::Value) -> PodStatus {
        let container = serde_json::json!({
            "name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "containerID": "tiphys://now", "state": state, "lastState": last,
        });
        let pod = serde_json::json!({"metadata": {}, "status": {"containerStatuses": [container]}});
        crate::testing::decode(pod).status.unwrap_or_default()
    }

    #[test]
    fn the_right_container_is_chosen() {
        use serde_json::json;
        let ended = |id: &str| json!({"terminated": {"exitCode": 1, "containerID": id}});
        let none = json!({});
        let running = status(json!({"running": {}}), ended("tiphys://before"));
        assert_eq!(choose(&running, "p", "a", false), Ok("now".into()));
        assert_eq!(choose(&running, "p", "a", true), Ok("before".into()));
        let waiting = status(
            json!({"waiting": {"reason": "CrashLoopBackOff"}}),
            ended("tiphys://x"),
        );
        assert_eq!(choose(&waiting, "p", "a", false), Ok("x".into()));
        let new = status(
            json!({"waiting": {"reason": "ContainerCreating"}}),
            none.clone(),
        );
        assert_eq!(
            choose(&new, "p", "a", false),
            Err("container \"a\" in pod \"p\" is waiting to start: ContainerCreating".into())
        );
        assert_eq!(
            choose(&new, "p", "a", true),
            Err("previous terminated container \"a\" in pod \"p\" not found".into())
        );
        assert_eq!(
            choose(&new, "p", "b", false),
            Err("container \"b\" in pod \"p\" is not available".into())
        );
    }
}
