//! `/openapi/v3` and `/openapi/v2`: the schema as clients read it, made from
//! the same table that drives decoding, patches and apply.

mod paths;
mod schemas;
mod v3;

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::{Request, no_such_path};
use http::StatusCode;
use meta::Status;

/// The answer to an OpenAPI path.
pub(crate) fn answer(server: &Server, request: &Request) -> Result<Answer, Status> {
    let path = request.info.path.trim_end_matches('/');
    let document = match path.strip_prefix("/openapi/v3") {
        Some("") => Some(v3::index(server)),
        Some(rest) => v3::document(server, rest.trim_start_matches('/')),
        None => None,
    };
    Ok(document.map_or_else(no_such_path, |document| {
        Answer::object(StatusCode::OK, &document)
    }))
}
