//! From a watch's body to its events: framing for sockets, nothing at all in process.

use crate::error::Error;
use crate::resource::RawEvent;
use crate::transport::{Body, EventType, TransportError, WatchEvent};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use typed::{DecodeError, PartialObject, Wire};

/// Marks the bookmark after which the initial objects are complete.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// The events of a watch's body. After an error the stream ends.
pub(crate) fn events(path: String, body: Body) -> BoxStream<'static, Result<RawEvent, Error>> {
    let events = match body {
        Body::Events(events) => events.map(|event| event.map_err(Broken::Transport)).boxed(),
        Body::Stream(pieces) => frames(pieces),
        Body::Full(bytes) => frames(stream::once(async { Ok(bytes) }).boxed()),
    };
    let read = events.map(move |event| {
        event
            .map_err(|broken| broken.at(&path))
            .and_then(|event| read_event(&path, event))
    });
    read.scan(false, |ended, event| {
        let go_on = !std::mem::replace(ended, event.is_err());
        std::future::ready(go_on.then_some(event))
    })
    .boxed()
}

/// What can be wrong before an event is read.
enum Broken {
    Transport(TransportError),
    Frame(String),
}

impl Broken {
    fn at(self, path: &str) -> Error {
        match self {
            Self::Transport(source) => Error::Transport {
                method: Method::GET,
                path: path.to_owned(),
                source,
            },
            Self::Frame(message) => Error::Frame {
                path: path.to_owned(),
                message,
            },
        }
    }
}

/// Cuts pieces at line ends: the server writes one event per line.
fn frames(
    pieces: BoxStream<'static, Result<Bytes, TransportError>>,
) -> BoxStream<'static, Result<WatchEvent, Broken>> {
    stream::unfold(
        (pieces, BytesMut::new()),
        |(mut pieces, mut pending)| async move {
            loop {
                if let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                    let line = pending.split_to(end + 1).freeze();
                    if line.trim_ascii().is_empty() {
                        continue;
                    }
                    return Some((read_frame(&line), (pieces, pending)));
                }
                match pieces.next().await {
                    Some(Ok(piece)) => pending.extend_from_slice(&piece),
                    Some(Err(error)) => {
                        return Some((Err(Broken::Transport(error)), (pieces, pending)));
                    }
                    None if pending.trim_ascii().is_empty() => return None,
                    None => {
                        let line = pending.split().freeze();
                        return Some((read_frame(&line), (pieces, pending)));
                    }
                }
            }
        },
    )
    .boxed()
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    object: &'a RawValue,
}

fn read_frame(line: &Bytes) -> Result<WatchEvent, Broken> {
    let frame: Frame<'_> =
        serde_json::from_slice(line).map_err(|error| Broken::Frame(error.to_string()))?;
    let kind = EventType::parse(frame.kind)
        .ok_or_else(|| Broken::Frame(format!("unknown event type {:?}", frame.kind)))?;
    Ok(WatchEvent {
        kind,
        object: line.slice_ref(frame.object.get().as_bytes()),
    })
}

fn read_event(path: &str, event: WatchEvent) -> Result<RawEvent, Error> {
    let undecodable = |source: DecodeError| Error::Decode {
        method: Method::GET,
        path: path.to_owned(),
        source,
    };
    match event.kind {
        EventType::Added => Ok(RawEvent::Added(event.object)),
        EventType::Modified => Ok(RawEvent::Modified(event.object)),
        EventType::Deleted => Ok(RawEvent::Deleted(event.object)),
        EventType::Bookmark => {
            let object = PartialObject::decode(&event.object).map_err(undecodable)?;
            let annotations = object.metadata.annotations.unwrap_or_default();
            Ok(RawEvent::Bookmark {
                resource_version: object.metadata.resource_version.unwrap_or_default(),
                initial_events_end: annotations
                    .get(INITIAL_EVENTS_END)
                    .is_some_and(|value| value == "true"),
            })
        }
        EventType::Error => {
            let status = Box::new(typed::meta::Status::decode(&event.object).map_err(undecodable)?);
            Err(Error::Status {
                method: Method::GET,
                path: path.to_owned(),
                status,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(pieces: &[&'static str]) -> Vec<String> {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Bytes::from_static(piece.as_bytes())))
            .collect();
        let events = events("/x".into(), Body::Stream(stream::iter(pieces).boxed()));
        events.map(|event| format!("{event:?}")).collect().await
    }

    #[tokio::test]
    async fn frames_are_cut_wherever_the_pieces_are() {
        let whole = read(&[
            "{\"type\":\"ADDED\",\"object\":{}}\n{\"type\":\"DELETED\",\"object\":{\"a\":1}}\n",
        ])
        .await;
        let cut = read(&[
            "{\"type\":\"ADD",
            "ED\",\"object\":{}}\n\n{\"type\":\"DELETED\",\"obj",
            "ect\":{\"a\":1}}",
        ])
        .await;
        assert_eq!(whole, cut);
        assert_eq!(
            whole,
            ["Ok(Added(b\"{}\"))", "Ok(Deleted(b\"{\\\"a\\\":1}\"))"]
        );
    }

    #[tokio::test]
    async fn an_error_ends_the_stream() {
        let events = read(&[
            "{\"type\":\"ERROR\",\"object\":{\"kind\":\"Status\",\"code\":410,\"reason\":\"Expired\"}}\n",
            "{\"type\":\"ADDED\",\"object\":{}}\n",
        ])
        .await;
        assert_eq!(events.len(), 1);
        assert!(events[0].contains("Expired"), "{events:?}");
        assert!(read(&["{\"type\":\"MOVED\",\"object\":{}}\n"]).await[0].contains("MOVED"));
        assert!(read(&["nonsense\n"]).await[0].contains("Frame"));
    }

    #[tokio::test]
    async fn bookmarks_say_where_and_whether_the_start_is_over() {
        let events = read(&[
            "{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\",\"annotations\":{\"k8s.io/initial-events-end\":\"true\"}}}}\n",
        ])
        .await;
        assert_eq!(
            events,
            ["Ok(Bookmark { resource_version: \"7\", initial_events_end: true })"]
        );
    }
}
