//! The standard streams for conversations in which nothing may wait for anything else.
//!
//! A terminal or a file cannot be read without blocking, so threads do it. That input which nobody
//! needs any more is still waited for does not keep the program from ending.

use super::remote::Output;
use crate::error::{Result, said};
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

const PIECE: usize = 32 << 10;

/// Standard input, through a pipe that a thread fills.
pub fn input() -> Result<pipe::Receiver> {
    let piped = io::pipe().and_then(|(reader, writer)| {
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        std::thread::Builder::new().spawn(move || fill(writer))?;
        Ok(reader)
    });
    piped.or_else(|error| said(format!("read standard input: {error}")))
}

fn fill(mut writer: io::PipeWriter) {
    let mut piece = vec![0; PIECE];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut piece) {
            Ok(0) => return,
            Ok(length) if writer.write_all(&piece[..length]).is_err() => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// Standard output.
pub fn output() -> Output {
    Box::new(Standard {
        write: |bytes| {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes)?;
            stdout.flush()
        },
        writing: None,
    })
}

/// Standard error.
pub fn errors() -> Output {
    Box::new(Standard {
        write: |bytes| io::stderr().lock().write_all(bytes),
        writing: None,
    })
}

struct Standard {
    write: fn(&[u8]) -> io::Result<()>,
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl AsyncWrite for Standard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_flush(cx))?;
        let (write, bytes) = (self.write, bytes.to_vec());
        let length = bytes.len();
        self.writing = Some(tokio::task::spawn_blocking(move || write(&bytes)));
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writing) = &mut self.writing else {
            return Poll::Ready(Ok(()));
        };
        let written = ready!(Pin::new(writing).poll(cx));
        self.writing = None;
        Poll::Ready(written.map_err(io::Error::other).flatten())
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
