//! `/healthz`: the kubelet answers.

use http::StatusCode;

use super::{Answer, Server, text};

pub(super) fn answer(_server: &Server) -> Answer {
    text(StatusCode::OK, "ok")
}
