//! `/openapi/v3` and `/openapi/v2`: the schema as clients read it.

use crate::answer::Answer;
use crate::server::Server;
use crate::stack::{Request, no_such_path};
use meta::Status;

/// The answer to an OpenAPI path.
pub(crate) fn answer(_server: &Server, _request: &Request) -> Result<Answer, Status> {
    Ok(no_such_path())
}
