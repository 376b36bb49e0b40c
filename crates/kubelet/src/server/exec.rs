//! `/exec/NS/POD[/UID]/CONTAINER?command=`: a command with streams.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use stdx::Importance;

use super::channels::{PROTOCOLS, Wants, converse, outcome};
use super::query::Query;
use super::upgrade::{Upgrade, accept};
use super::{Answer, Server, text};

pub(super) async fn answer(
    server: &Arc<Server>,
    request: Request<Incoming>,
    path: &[&str],
) -> Answer {
    let query = Query::of(&request);
    let wants = match Wants::of(&query) {
        Ok(wants) => wants,
        Err(words) => return text(StatusCode::BAD_REQUEST, words),
    };
    let command: Vec<String> = query.all("command").map(str::to_owned).collect();
    if command.is_empty() {
        return text(StatusCode::BAD_REQUEST, "you must specify a command");
    }
    let found = match server.running(path).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let (_, answer, upgrade) = match accept(request, &PROTOCOLS) {
        Ok(upgrade) => upgrade.split(),
        Err(answer) => return *answer,
    };
    let cx = &server.handle.cx;
    let (runtime, id) = (Arc::clone(&cx.runtime), found.status.id);
    cx.supervisor
        .spawn("exec", Importance::Ordinary, async move {
            match Upgrade::socket(upgrade).await {
                Ok(socket) => {
                    let work = |streams| async move {
                        outcome(runtime.exec(&id, &command, streams).await)
                    };
                    converse(socket, wants, work).await;
                }
                Err(error) => tracing::debug!(%error, "an exec stream did not come about"),
            }
        });
    answer
}
