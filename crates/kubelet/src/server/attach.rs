//! `/attach/NS/POD[/UID]/CONTAINER`: the streams of a container's own process.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use stdx::Importance;

use super::channels::{PROTOCOLS, Wants, converse, failure, success};
use super::query::Query;
use super::upgrade::{Upgrade, accept};
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
    let (_, answer, upgrade) = match accept(request, &PROTOCOLS) {
        Ok(upgrade) => upgrade.split(),
        Err(answer) => return *answer,
    };
    tracing::debug!(pod = crate::pod::describe(&found.pod), "attaching");
    let cx = &server.handle.cx;
    let (runtime, id) = (Arc::clone(&cx.runtime), found.status.id);
    cx.supervisor
        .spawn("attach", Importance::Ordinary, async move {
            match Upgrade::socket(upgrade).await {
                Ok(socket) => {
                    let work = |streams| async move {
                        match runtime.attach(&id, streams).await {
                            Ok(()) => success(),
                            Err(error) => {
                                failure(&format!("error attaching to container: {}", error.chain()))
                            }
                        }
                    };
                    converse(socket, wants, work).await;
                }
                Err(error) => tracing::debug!(%error, "an attach stream did not come about"),
            }
        });
    answer
}
