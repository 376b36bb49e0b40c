//! The way from the loops of a process to the API server of the same process: no
//! socket and no TLS, but the same authorisation, admission and counting, each
//! loop under its own identity.

use apiserver::{Answer, Body, Inbound, Server};
use async_trait::async_trait;
use auth::User;
use client::{EventType, Transport, TransportError, WatchEvent};
use futures::StreamExt as _;
use registry::{Notice, NoticeKind};
use std::sync::Arc;

/// One identity's way to the server.
pub struct Loopback {
    server: Arc<Server>,
    user: User,
}

impl Loopback {
    /// The way of a user.
    pub fn new(server: Arc<Server>, user: User) -> Self {
        Loopback { server, user }
    }
}

#[async_trait]
impl Transport for Loopback {
    async fn call(&self, request: client::Request) -> Result<client::Response, TransportError> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let inbound = Inbound {
            method: request.method,
            path: path.to_string(),
            query: query.to_string(),
            headers: request.headers,
            body: request.body,
            user: Some(self.user.clone()),
            ..Inbound::default()
        };
        Ok(respond(self.server.handle(inbound).await))
    }
}

fn respond(answer: Answer) -> client::Response {
    let body = match answer.body {
        Body::Full(bytes) => client::Body::Full(bytes),
        Body::Pieces(pieces) => client::Body::Stream(pieces.map(Ok).boxed()),
        Body::Notices(notices) => {
            client::Body::Events(notices.map(|notice| Ok(event(notice))).boxed())
        }
        Body::Foreign(pieces) => client::Body::Stream(
            pieces
                .map(|piece| piece.map_err(|e| TransportError::Body(e.into())))
                .boxed(),
        ),
    };
    client::Response {
        status: answer.status,
        headers: answer.headers,
        body,
    }
}

fn event(notice: Notice) -> WatchEvent {
    let kind = match notice.kind {
        NoticeKind::Added => EventType::Added,
        NoticeKind::Modified => EventType::Modified,
        NoticeKind::Deleted => EventType::Deleted,
        NoticeKind::Bookmark => EventType::Bookmark,
        NoticeKind::Error => EventType::Error,
    };
    WatchEvent {
        kind,
        object: notice.object,
    }
}
