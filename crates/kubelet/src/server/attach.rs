//! `/attach/NS/POD[/UID]/CONTAINER`: the streams of a container's own process.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::channels::{Wants, failure, start, success};
use super::query::Query;
use super::{Answer, Server, text};

pub(super) async fn answer(
    server: &Arc<Server>,
    request: Request<Incoming>,
    path: &[&str],
) -> Answer {
    let mut wants = match Wants::of(&Query::of(&request)) {
        Ok(wants) => wants,
        Err(words) => return text(StatusCode::BAD_REQUEST, words),
    };
    let found = match server.running(path).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    // Whether there is a terminal was decided when the container started.
    wants.tty = found.container.tty == Some(true);
    tracing::debug!(pod = crate::pod::describe(&found.pod), "attaching");
    let runtime = Arc::clone(&server.handle.cx.runtime);
    let id = found.status.id;
    start(server, "attach", request, wants, |streams| async move {
        match runtime.attach(&id, streams).await {
            Ok(()) => success(),
            Err(error) => failure(&format!("error attaching to container: {}", error.chain())),
        }
    })
}
