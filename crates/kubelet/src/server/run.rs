//! `/run/NS/POD[/UID]/CONTAINER?cmd=`: a command and what it wrote.

use std::time::Duration;

use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::containers::internal;
use super::query::Query;
use super::{Answer, Server, text};

pub(super) async fn answer(server: &Server, request: &Request<Incoming>, path: &[&str]) -> Answer {
    let found = match server.running(path).await {
        Ok(found) => found,
        Err(answer) => return *answer,
    };
    let query = Query::of(request);
    let command = query.get("cmd").unwrap_or_default();
    let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    let runtime = &server.handle.cx.runtime;
    match runtime
        .exec_sync(&found.status.id, &words, Duration::ZERO)
        .await
    {
        Ok(output) => {
            let mut bytes = output.stdout;
            bytes.extend(output.stderr);
            let words = String::from_utf8_lossy(&bytes).into_owned();
            if output.exit_code == 0 {
                text(StatusCode::OK, words)
            } else {
                let code = output.exit_code;
                internal(format!("{words}command exited with {code}\n"))
            }
        }
        Err(error) => internal(error.chain()),
    }
}
