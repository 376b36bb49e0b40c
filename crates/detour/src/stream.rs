//! A connection, as the HTTP client wants it.

use hyper::rt::ReadBufCursor;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite};

/// Bytes both ways.
pub trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection, and what the client has to know of it.
pub struct Stream {
    io: TokioIo<Box<dyn Io>>,
    is_proxied: bool,
    is_http2: bool,
}

impl Stream {
    /// To the server itself, if need be through a tunnel.
    pub fn direct(io: Box<dyn Io>) -> Self {
        Self {
            io: TokioIo::new(io),
            is_proxied: false,
            is_http2: false,
        }
    }

    /// To a proxy that passes requests on, and wants whole URLs.
    pub fn proxied(io: Box<dyn Io>) -> Self {
        Self {
            is_proxied: true,
            ..Self::direct(io)
        }
    }

    /// The same when HTTP/2 was agreed on.
    #[must_use]
    pub fn with_http2(mut self, is_http2: bool) -> Self {
        self.is_http2 = is_http2;
        self
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxied);
        match self.is_http2 {
            true => connected.negotiated_h2(),
            false => connected,
        }
    }
}

impl hyper::rt::Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl hyper::rt::Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
