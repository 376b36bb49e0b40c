//! The channels of a command's streams, and of forwarded ports before there was a tunnel.
//!
//! Follows apimachinery/pkg/util/httpstream/wsstream and remotecommand/constants.go.

use crate::Message;
use bytes::{BufMut as _, Bytes, BytesMut};

/// What the command reads.
pub const STDIN: u8 = 0;
/// What the command writes.
pub const STDOUT: u8 = 1;
/// What the command complains about.
pub const STDERR: u8 = 2;
/// How it ended.
pub const OUTCOME: u8 = 3;
/// The size of the client's terminal.
pub const RESIZE: u8 = 4;
/// Names a channel that its sender has closed; since version 5.
pub const CLOSE: u8 = 255;

/// A message of a channel.
pub fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut frame = BytesMut::with_capacity(bytes.len() + 1);
    frame.put_u8(channel);
    frame.put_slice(bytes);
    Message::Binary(frame.freeze())
}

/// The channel of a message and what it says; `None` for messages that belong to no channel.
pub fn split(message: Message) -> Option<(u8, Bytes)> {
    let mut bytes: Bytes = match message {
        Message::Binary(bytes) => bytes,
        Message::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
        _ => return None,
    };
    if bytes.is_empty() {
        return None;
    }
    let said = bytes.split_off(1);
    Some((bytes[0], said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_framed_is_split_again() {
        let (channel, bytes) = split(frame(STDERR, b"oops")).expect("a channel");
        assert_eq!((channel, &bytes[..]), (STDERR, &b"oops"[..]));
        let (channel, bytes) = split(frame(CLOSE, &[STDIN])).expect("a channel");
        assert_eq!((channel, &bytes[..]), (CLOSE, &[STDIN][..]));
        assert_eq!(split(Message::Binary(Bytes::new())), None);
        assert_eq!(split(Message::Ping(Bytes::from_static(b"x"))), None);
    }
}
