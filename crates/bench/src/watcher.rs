//! A watch on a connection of its own.

use crate::http2::{Connection, Piece, Request};
use crate::server::Server;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::collections::VecDeque;

/// A watch, line by line.
pub struct Watcher {
    connection: Connection,
    lines: Lines,
}

#[derive(Default)]
struct Lines {
    part: Vec<u8>,
    whole: VecDeque<Vec<u8>>,
    begun: bool,
}

impl Watcher {
    /// Begins to watch a path; returns when the server has said that it watches.
    pub async fn open(server: &Server, path: &str) -> Result<Self> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let request = Request::get(format!("{path}{separator}watch=true"));
        let mut connection = server.connect().await?;
        connection.request(&request);
        let mut watcher = Watcher {
            connection,
            lines: Lines::default(),
        };
        while !watcher.lines.begun {
            watcher.receive().await?;
        }
        Ok(watcher)
    }

    /// The next event as bytes.
    pub async fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            if let Some(line) = self.lines.whole.pop_front() {
                return Ok(line);
            }
            self.receive().await?;
        }
    }

    /// The next event.
    pub async fn event(&mut self) -> Result<Value> {
        let line = self.line().await?;
        serde_json::from_slice(&line).context("read a watch event")
    }

    /// Waits for what arrives and hands it on as it is.
    pub async fn bytes(&mut self, mut tell: impl FnMut(&[u8])) -> Result<()> {
        let receiving = self.connection.receive(|piece| {
            if let Piece::Data { bytes, .. } = piece {
                tell(bytes);
            }
        });
        Ok(receiving.await?)
    }

    async fn receive(&mut self) -> Result<()> {
        let lines = &mut self.lines;
        let receiving = self.connection.receive(|piece| match piece {
            Piece::Head { .. } => lines.begun = true,
            Piece::Data { bytes, .. } => lines.take(bytes),
        });
        Ok(receiving.await?)
    }
}

impl Lines {
    fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end + 1);
            self.part.extend_from_slice(line);
            self.whole.push_back(std::mem::take(&mut self.part));
            bytes = rest;
        }
        self.part.extend_from_slice(bytes);
    }
}
