//! What a connection says in one turn goes out in one write.
//!
//! HTTP/2 flushes after every piece of every answer. With a hundred answers
//! under way on one connection each of them would be a TLS record and a system
//! call of its own, which costs more than the answer does. So what is written
//! waits until the connection's task has nothing more to say.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// When so much waits it is sent before the turn ends.
const FULL: usize = 64 * 1024;
/// The room that a silent connection keeps.
const KEPT: usize = 16 * 1024;

/// The stream as the protocol sees it: flushing it costs nothing.
pub(crate) struct Gathered<S>(Arc<Mutex<Shared<S>>>);

/// The other end: sends what was gathered.
pub(crate) struct Turns<S>(Arc<Mutex<Shared<S>>>);

struct Shared<S> {
    stream: S,
    /// Whether writes wait for the turn's end.
    gathers: bool,
    waiting: Vec<u8>,
    /// How much of it the stream has taken.
    taken: usize,
}

/// Splits a stream. Unless it `gathers`, what is written goes through at once:
/// HTTP/1.1 says one thing at a time, and may give its stream to others.
pub(crate) fn gather<S>(stream: S, gathers: bool) -> (Gathered<S>, Turns<S>) {
    let shared = Arc::new(Mutex::new(Shared {
        stream,
        gathers,
        waiting: Vec::new(),
        taken: 0,
    }));
    (Gathered(shared.clone()), Turns(shared))
}

impl<S: AsyncWrite + Unpin> Turns<S> {
    /// Lets the connection's task take one turn, and sends what it said.
    pub(crate) fn poll_turn<F: Future>(
        &self,
        task: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        let outcome = task.poll(cx);
        // A stream that is broken shows when the task reads from it.
        let _ = lock(&self.0).poll_send(cx);
        outcome
    }
}

impl<S: AsyncWrite + Unpin> Shared<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.taken < self.waiting.len() {
            let rest = &self.waiting[self.taken..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => self.taken += n,
            }
        }
        self.taken = 0;
        self.waiting.clear();
        self.waiting.shrink_to(KEPT);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Waits until there is room for more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.waiting.len() < FULL {
            true => Poll::Ready(Ok(())),
            false => self.poll_send(cx),
        }
    }
}

fn lock<S>(shared: &Mutex<Shared<S>>) -> MutexGuard<'_, Shared<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut lock(&self.0).stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut shared = lock(&self.0);
        if !shared.gathers {
            return Pin::new(&mut shared.stream).poll_write_vectored(cx, bufs);
        }
        ready!(shared.poll_room(cx))?;
        bufs.iter()
            .for_each(|buf| shared.waiting.extend_from_slice(buf));
        Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.0);
        match shared.gathers {
            true => Poll::Ready(Ok(())),
            false => Pin::new(&mut shared.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut shared = lock(&self.0);
        ready!(shared.poll_send(cx))?;
        Pin::new(&mut shared.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A stream that notes how much each write brought it.
    #[derive(Default)]
    struct Notebook(Vec<usize>);

    impl AsyncWrite for Notebook {
        fn poll_write(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.0.push(buf.len());
            Poll::Ready(Ok(buf.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn writes(gathers: bool, answers: usize) -> Vec<usize> {
        let (mut stream, turns) = gather(Notebook::default(), gathers);
        let said = async move {
            for _ in 0..answers {
                stream.write_all(&[0; 1000]).await?;
                stream.flush().await?;
            }
            io::Result::Ok(())
        };
        let mut said = std::pin::pin!(said);
        let outcome = poll_fn(|cx| turns.poll_turn(said.as_mut(), cx)).await;
        outcome.expect("a notebook takes all");
        std::mem::take(&mut lock(&turns.0).stream.0)
    }

    #[tokio::test]
    async fn a_turn_is_one_write_unless_it_is_long() {
        assert_eq!(writes(true, 3).await, [3000]);
        assert_eq!(writes(false, 3).await, [1000; 3]);
        let long = writes(true, 100).await;
        assert_eq!((long.len(), long.iter().sum::<usize>()), (2, 100_000));
    }

    #[tokio::test]
    async fn nothing_is_lost_where_the_stream_takes_little() {
        let (near, mut far) = tokio::io::duplex(700);
        let (mut stream, turns) = gather(near, true);
        let said = async move {
            for byte in 0..200_u8 {
                stream.write_all(&[byte; 1000]).await?;
            }
            stream.shutdown().await
        };
        let heard = tokio::spawn(async move {
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.map(|_| heard)
        });
        let mut said = std::pin::pin!(said);
        let outcome = poll_fn(|cx| turns.poll_turn(said.as_mut(), cx)).await;
        outcome.expect("all is said");
        let heard = heard.await.expect("a listener").expect("all is heard");
        let expected: Vec<u8> = (0..200).flat_map(|byte| [byte; 1000]).collect();
        assert_eq!(heard, expected);
    }
}
