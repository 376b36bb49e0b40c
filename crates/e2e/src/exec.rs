//! Exec over a WebSocket, as much of it as a thousand calls need.

use crate::wire::Door;
use std::io::{Error, Result};

/// Runs a command in the container `main` of a pod and returns what it prints.
pub fn run(door: &Door, namespace: &str, pod: &str, command: &[&str]) -> Result<String> {
    let words: String = command
        .iter()
        .map(|word| format!("&command={word}"))
        .collect();
    let path = format!(
        "/api/v1/namespaces/{namespace}/pods/{pod}/exec?container=main&stdout=true&stderr=true{words}"
    );
    let mut wire = door.enter()?;
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: trouble\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dHJvdWJsZXRyb3VibGUhIQ==\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"
    );
    wire.send(head.as_bytes())?;
    let code = wire.receive_head()?;
    if code != 101 {
        return Err(Error::other(format!("{code} instead of a WebSocket")));
    }
    let (mut said, mut status) = (Vec::new(), String::new());
    loop {
        let (opcode, payload) = frame(&mut wire)?;
        match (opcode, payload.split_first()) {
            (8, _) => break,
            (1 | 2, Some((1, text))) => said.extend_from_slice(text),
            (1 | 2, Some((3, text))) => status.push_str(&String::from_utf8_lossy(text)),
            _ => {}
        }
    }
    match status.contains("Success") {
        true => Ok(String::from_utf8_lossy(&said).into_owned()),
        false => Err(Error::other(status)),
    }
}

/// A frame of the server, which does not mask.
fn frame(wire: &mut crate::wire::Wire) -> Result<(u8, Vec<u8>)> {
    let head = wire.receive_bytes(2)?;
    let length = match head[1] {
        126 => wire.receive_bytes(2)?,
        127 => wire.receive_bytes(8)?,
        length => vec![length],
    };
    let length = length
        .iter()
        .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    Ok((head[0] & 15, wire.receive_bytes(length)?))
}
