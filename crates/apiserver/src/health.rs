//! `/healthz`, `/livez` and `/readyz`, with `?verbose`, `?exclude=` and a path
//! per check. Follows apiserver's pkg/server/healthz.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::{Request, no_such_path};
use http::StatusCode;
use meta::Status;

const ROOTS: [&str; 3] = ["/healthz", "/livez", "/readyz"];
const CHECKS: [&str; 4] = ["ping", "log", "etcd", "informer-sync"];

/// Whether a path is one of a single check.
pub(crate) fn owns(path: &str) -> bool {
    ROOTS.iter().any(|root| {
        path.strip_prefix(root)
            .is_some_and(|rest| rest.starts_with('/'))
    })
}

/// The answer to a health check.
pub(crate) async fn answer(
    server: &Server,
    path: &str,
    request: &Request,
) -> Result<Answer, Status> {
    let root = ROOTS
        .iter()
        .find(|root| path.starts_with(**root))
        .copied()
        .unwrap_or("/healthz");
    let single = path
        .strip_prefix(root)
        .map(|rest| rest.trim_matches('/'))
        .filter(|rest| !rest.is_empty());
    if let Some(name) = single {
        return Ok(match CHECKS.contains(&name) {
            true if check(server, name).await => Answer::text(StatusCode::OK, "ok"),
            true => Answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal server error: check failed\n",
            ),
            false => no_such_path(),
        });
    }
    let excluded: Vec<&str> = request.query.all("exclude").collect();
    let mut lines = Vec::new();
    let mut failed = false;
    for name in CHECKS {
        if name == "informer-sync" && root != "/readyz" {
            continue;
        }
        if excluded.contains(&name) {
            lines.push(format!("[+]{name} excluded: ok"));
            continue;
        }
        match check(server, name).await {
            true => lines.push(format!("[+]{name} ok")),
            false => {
                failed = true;
                lines.push(format!("[-]{name} failed: reason withheld"));
            }
        }
    }
    let name = root.trim_start_matches('/');
    if failed {
        let text = format!("{}\n{name} check failed\n", lines.join("\n"));
        return Ok(Answer::text(StatusCode::INTERNAL_SERVER_ERROR, text));
    }
    Ok(match request.query.has("verbose") {
        true => Answer::text(
            StatusCode::OK,
            format!("{}\n{name} check passed\n", lines.join("\n")),
        ),
        false => Answer::text(StatusCode::OK, "ok"),
    })
}

async fn check(server: &Server, name: &str) -> bool {
    match name {
        "etcd" => server.registry.store().revision().await.is_ok(),
        "informer-sync" => match server.registry.store().revision().await {
            Ok(revision) => server.registry.is_caught_up(revision).await,
            Err(_) => false,
        },
        _ => true,
    }
}
