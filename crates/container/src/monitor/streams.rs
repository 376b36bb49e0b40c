//! A container's standard streams: read once, written to its log and to whoever
//! is attached; and its standard input, fed by one client at a time.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use stdx::{Instant, Timestamp};

use super::log::{Log, Stream};

/// Bytes that wait for an attached client before the container has to.
const WAITING_MAX: usize = 256 << 10;
const CHUNK: usize = 64 << 10;
/// How long it has to before an attached client that does not read is left.
const STALL: Duration = Duration::from_secs(10);

/// One output of a container.
pub(super) struct Output {
    pub(super) fd: OwnedFd,
    pub(super) stream: Stream,
}

/// An attached client's end of an output.
pub(super) struct Sink {
    pub(super) fd: OwnedFd,
    pub(super) client: u64,
    pub(super) stream: Stream,
    waiting: Vec<u8>,
    lags_since: Option<Instant>,
}

/// The container's end of its input and where it comes from.
pub(super) struct Input {
    /// A pipe, or the terminal's master.
    pub(super) target: Option<OwnedFd>,
    pub(super) source: Option<(u64, OwnedFd)>,
    waiting: Vec<u8>,
    /// Whether it ends with the first client's.
    once: bool,
    /// Whether it ends once what waits is written.
    ending: bool,
}

/// All streams of a container.
#[derive(Default)]
pub(super) struct Streams {
    pub(super) outputs: Vec<Output>,
    pub(super) sinks: Vec<Sink>,
    pub(super) input: Option<Input>,
}

impl Sink {
    pub(super) fn new(fd: OwnedFd, client: u64, stream: Stream) -> io::Result<Sink> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        Ok(Sink {
            fd,
            client,
            stream,
            waiting: Vec::new(),
            lags_since: None,
        })
    }

    pub(super) fn wants_to_write(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn lags(&self) -> bool {
        self.waiting.len() > WAITING_MAX
    }

    /// Whether it has lagged for too long.
    fn is_stalled(&mut self, now: Instant) -> bool {
        if !self.lags() {
            self.lags_since = None;
            return false;
        }
        let since = *self.lags_since.get_or_insert(now);
        now - since > STALL
    }

    /// Writes what waits; false when nobody reads any more.
    fn flush(&mut self) -> bool {
        write_some(self.fd.as_fd(), &mut self.waiting)
    }
}

impl Input {
    pub(super) fn new(target: OwnedFd, once: bool) -> io::Result<Input> {
        rustix::io::ioctl_fionbio(&target, true)?;
        Ok(Input {
            target: Some(target),
            source: None,
            waiting: Vec::new(),
            once,
            ending: false,
        })
    }

    pub(super) fn feed(&mut self, client: u64, source: OwnedFd) -> io::Result<()> {
        rustix::io::ioctl_fionbio(&source, true)?;
        self.source = Some((client, source));
        Ok(())
    }

    pub(super) fn wants_to_read(&self) -> Option<BorrowedFd<'_>> {
        let idle = self.waiting.is_empty() && self.target.is_some();
        self.source
            .as_ref()
            .filter(|_| idle)
            .map(|(_, fd)| fd.as_fd())
    }

    pub(super) fn wants_to_write(&self) -> Option<BorrowedFd<'_>> {
        self.target
            .as_ref()
            .filter(|_| !self.waiting.is_empty())
            .map(AsFd::as_fd)
    }

    /// Moves bytes on; called when either side is ready.
    pub(super) fn pump(&mut self) {
        if self.waiting.is_empty() {
            self.read();
        }
        if let Some(target) = &self.target
            && !write_some(target.as_fd(), &mut self.waiting)
        {
            // The container has closed its standard input.
            self.target = None;
            self.source = None;
        }
        if self.ending && self.waiting.is_empty() {
            self.target = None;
        }
    }

    /// The client has gone, or its input has ended.
    pub(super) fn leave(&mut self, client: u64) {
        if self
            .source
            .as_ref()
            .is_some_and(|(owner, _)| *owner == client)
        {
            self.end_source();
            self.pump();
        }
    }

    fn end_source(&mut self) {
        self.source = None;
        self.ending |= self.once;
    }

    fn read(&mut self) {
        let Some((_, source)) = &self.source else {
            return;
        };
        let mut buffer = [0; 16 << 10];
        match rustix::io::read(source, &mut buffer) {
            Ok(length) if length > 0 => self.waiting.extend_from_slice(&buffer[..length]),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => self.end_source(),
        }
    }
}

impl Streams {
    /// Whether an output may be read: not while an attached client lags behind.
    pub(super) fn may_read(&self, stream: Stream) -> bool {
        let lags = |sink: &Sink| sink.stream == stream && sink.lags();
        !self.sinks.iter().any(lags)
    }

    /// Whether an attached client lags behind.
    pub(super) fn lag(&self) -> bool {
        self.sinks.iter().any(Sink::lags)
    }

    /// Leaves attached clients that have stalled: a container is not held by them.
    pub(super) fn shed(&mut self, now: Instant) {
        self.sinks.retain_mut(|sink| !sink.is_stalled(now));
    }

    /// Reads an output as far as it goes now and passes it on.
    pub(super) fn read(&mut self, stream: Stream, log: &mut Log, now: Timestamp) {
        let mut buffer = vec![0; CHUNK];
        // Bounded, so that one container's flood does not starve the others.
        for _ in 0..16 {
            if !self.may_read(stream) {
                return;
            }
            let Some(at) = self.outputs.iter().position(|one| one.stream == stream) else {
                return;
            };
            match rustix::io::read(&self.outputs[at].fd, &mut buffer) {
                Ok(length) if length > 0 => {
                    log.write(stream, &buffer[..length], now);
                    self.tee(stream, &buffer[..length]);
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::INTR) => {}
                // A terminal whose slave is closed answers EIO.
                Ok(_) | Err(_) => {
                    log.end(stream, now);
                    self.outputs.remove(at);
                    self.close_sinks();
                    return;
                }
            }
        }
    }

    fn tee(&mut self, stream: Stream, bytes: &[u8]) {
        self.sinks.retain_mut(|sink| {
            if sink.stream != stream {
                return true;
            }
            sink.waiting.extend_from_slice(bytes);
            sink.flush()
        });
    }

    /// Writes what waits for attached clients.
    pub(super) fn flush_sinks(&mut self) {
        self.sinks.retain_mut(Sink::flush);
        self.close_sinks();
    }

    /// Closes the clients' ends of outputs that have ended and are delivered.
    fn close_sinks(&mut self) {
        let open = |stream: Stream| self.outputs.iter().any(|output| output.stream == stream);
        let still = [Stream::Stdout, Stream::Stderr].map(open);
        self.sinks
            .retain(|sink| still[sink.stream as usize] || sink.wants_to_write());
    }

    /// A client has gone.
    pub(super) fn leave(&mut self, client: u64) {
        self.sinks.retain(|sink| sink.client != client);
        if let Some(input) = &mut self.input {
            input.leave(client);
        }
    }
}

/// Writes what the other side takes now; false when it is closed.
fn write_some(fd: BorrowedFd<'_>, waiting: &mut Vec<u8>) -> bool {
    while !waiting.is_empty() {
        match rustix::io::write(fd, waiting) {
            Ok(written) => {
                waiting.drain(..written);
            }
            Err(Errno::AGAIN) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}
