//! Streams over which nothing is said for long end.
//!
//! What counts is what users and programs say, not that both sides ask each
//! other now and then whether they are there. Follows the idle timeouts of
//! kubelet/pkg/cri/streaming/server.go.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use stdx::{Clock, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Knows when something was said last. Clones are the same.
#[derive(Clone)]
pub(super) struct Idle {
    clock: Clock,
    timeout: Duration,
    last: Arc<Mutex<Instant>>,
}

impl Idle {
    /// Waits this long; without end if that is zero.
    pub(super) fn new(clock: Clock, timeout: Duration) -> Idle {
        let last = Arc::new(Mutex::new(clock.now()));
        Idle {
            clock,
            timeout,
            last,
        }
    }

    /// Notes all that is read from and written to `inner`.
    pub(super) fn watch<T>(&self, inner: T) -> Watched<T> {
        Watched {
            inner,
            idle: self.clone(),
        }
    }

    /// Works until the work is done, or nothing was said for too long.
    pub(super) async fn end(&self, work: impl Future<Output = ()>) {
        tokio::select! {
            () = work => {}
            () = self.over() => tracing::debug!("a stream was idle for too long"),
        }
    }

    async fn over(&self) {
        if self.timeout.is_zero() {
            return std::future::pending().await;
        }
        loop {
            let passed = self.clock.since(self.last());
            match self.timeout.checked_sub(passed) {
                None | Some(Duration::ZERO) => return,
                Some(left) => self.clock.sleep(left).await,
            }
        }
    }

    fn last(&self) -> Instant {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
    }
}

/// A stream of bytes that notes when any move.
pub(super) struct Watched<T> {
    inner: T,
    idle: Idle,
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.idle.touch();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.idle.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const HOUR: Duration = Duration::from_secs(3600);

    fn clock() -> Clock {
        Clock::simulated("2026-11-20T17:30:00Z".parse().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_silent_for_four_hours_ends() {
        let clock = clock();
        let start = clock.now();
        let idle = Idle::new(clock.clone(), 4 * HOUR);
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut ours = idle.watch(ours);
        let talking = async {
            // A word each way, three hours apart.
            clock.sleep(3 * HOUR).await;
            ours.write_all(b"a").await.unwrap();
            clock.sleep(3 * HOUR).await;
            theirs.write_all(b"b").await.unwrap();
            ours.read_u8().await.unwrap();
            std::future::pending().await
        };
        idle.end(talking).await;
        assert_eq!(clock.since(start), 10 * HOUR);
    }

    #[tokio::test(start_paused = true)]
    async fn work_ends_by_itself_and_without_a_timeout_only_so() {
        for timeout in [Duration::ZERO, 200 * HOUR] {
            let clock = clock();
            let start = clock.now();
            let idle = Idle::new(clock.clone(), timeout);
            idle.end(clock.sleep(100 * HOUR)).await;
            assert_eq!(clock.since(start), 100 * HOUR);
        }
    }
}
