//! `/exec/NS/POD[/UID]/CONTAINER?command=`: a command with streams.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::channels::{Wants, outcome, start};
use super::query::Query;
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
    let runtime = Arc::clone(&server.handle.cx.runtime);
    let id = found.status.id;
    start(server, "exec", request, wants, |streams| async move {
        outcome(runtime.exec(&id, &command, streams).await)
    })
}
