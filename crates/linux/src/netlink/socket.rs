//! A netlink socket: send a request or a batch, collect what the kernel says.
//!
//! A socket belongs to the network namespace in which it was opened, for its
//! whole life; threads of other namespaces may use it.

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, netlink as raw, recv, send,
    socket_with, sockopt,
};

use super::{
    Attrs, Error, Writer,
    attr::HEADER,
    flags::{ACK, DUMP, REQUEST},
};

const ERROR: u16 = 2;
const DONE: u16 = 3;
const DUMP_INTERRUPTED: u16 = 0x10;
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
const ERROR_TEXT: u16 = 1;
/// The kernel never answers with larger datagrams than 32 KiB.
const RECEIVE: usize = 64 * 1024;
const DUMP_ATTEMPTS: usize = 10;
/// A bound for what should be immediate, so that a bug is an error, not a hang.
const PATIENCE: Duration = Duration::from_secs(10);
/// Room for one transaction with everything that a large cluster has.
const SEND_BUFFER: usize = 256 * 1024 * 1024;
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Which part of the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// Packet filters and connection tracking.
    Netfilter,
}

/// An open netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    seq: u32,
    buffer: Vec<u8>,
}

/// A refusal that the kernel sent for one message.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) seq: u32,
    pub(crate) errno: i32,
    pub(crate) message: String,
}

struct Reply<'a> {
    kind: u16,
    flags: u16,
    seq: u32,
    body: &'a [u8],
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: Protocol) -> Result<Self, Error> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(raw::NETFILTER),
        };
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            number,
        )
        .map_err(|source| failed("socket", source))?;
        bind(&fd, &raw::SocketAddrNetlink::new(0, 0)).map_err(|source| failed("bind", source))?;
        widen(&fd);
        sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))
            .map_err(|source| failed("set the receive timeout", source))?;
        set_netlink_option(&fd, libc::NETLINK_EXT_ACK);
        set_netlink_option(&fd, libc::NETLINK_CAP_ACK);
        Ok(Self {
            fd,
            seq: 1,
            buffer: vec![0; RECEIVE],
        })
    }

    /// Sends one request and waits for its acknowledgement.
    pub fn request(
        &mut self,
        what: &str,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer),
    ) -> Result<(), Error> {
        let seq = self.next_seq();
        let mut writer = Writer::new();
        writer.message(kind, flags | REQUEST | ACK, seq, body);
        self.send(writer.bytes())?;
        self.collect(what, seq, |_, _| ()).map(|_| ())
    }

    /// Sends one request that is answered by one message, and returns it
    /// without its header.
    pub fn get(
        &mut self,
        what: &str,
        kind: u16,
        body: impl FnOnce(&mut Writer),
    ) -> Result<Vec<u8>, Error> {
        let seq = self.next_seq();
        let mut writer = Writer::new();
        writer.message(kind, REQUEST | ACK, seq, body);
        self.send(writer.bytes())?;
        let mut answer = None;
        self.collect(what, seq, |_, body| answer = Some(body.to_vec()))?;
        answer.ok_or_else(|| Error::Malformed { what: what.into() })
    }

    /// Lists objects: `each` sees every answer without its header. When the
    /// list changed under the kernel's hands `restart` is called and it all
    /// begins again.
    pub fn dump<T>(
        &mut self,
        what: &str,
        kind: u16,
        body: impl Fn(&mut Writer),
        mut each: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            let seq = self.next_seq();
            let mut writer = Writer::new();
            writer.message(kind, REQUEST | DUMP, seq, &body);
            self.send(writer.bytes())?;
            let mut found = Vec::new();
            if self.collect(what, seq, |_, body| found.extend(each(body)))? {
                return Ok(found);
            }
        }
        Err(Error::Unstable { what: what.into() })
    }

    /// Sends a batch and returns every refusal. The kernel has answered all
    /// messages by the time the send returns, so nothing is waited for.
    pub(crate) fn batch(&mut self, bytes: &[u8]) -> Result<Vec<Refusal>, Error> {
        self.drain()?;
        self.send(bytes)?;
        self.drain()
    }

    /// The sequence number for the next message.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.seq = self.seq.wrapping_add(1).max(1);
        self.seq
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        send(&self.fd, bytes, SendFlags::empty())
            .map(|_| ())
            .map_err(|source| failed("send", source))
    }

    /// Reads answers to `seq` until the last. Returns whether the list was
    /// consistent.
    fn collect(
        &mut self,
        what: &str,
        seq: u32,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<bool, Error> {
        let mut steady = true;
        loop {
            let (length, _) = recv(&self.fd, &mut self.buffer[..], RecvFlags::empty())
                .map_err(|source| failed("receive", source))?;
            for reply in replies(&self.buffer[..length]) {
                if reply.seq != seq {
                    continue;
                }
                steady &= reply.flags & DUMP_INTERRUPTED == 0;
                match reply.kind {
                    ERROR => return ended(what, &reply).map(|()| steady),
                    DONE => return done(what, &reply).map(|()| steady),
                    kind => each(kind, reply.body),
                }
            }
        }
    }

    fn drain(&mut self) -> Result<Vec<Refusal>, Error> {
        let mut refusals = Vec::new();
        loop {
            let length = match recv(&self.fd, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(refusals),
                Err(source) => return Err(failed("receive", source)),
            };
            for reply in replies(&self.buffer[..length]) {
                if reply.kind == ERROR {
                    refusals.extend(refusal(&reply));
                }
            }
        }
    }
}

fn replies(mut bytes: &[u8]) -> impl Iterator<Item = Reply<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER)?;
        let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|i| header[at + i]));
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = word(0) as usize;
        let reply = Reply {
            kind: half(4),
            flags: half(6),
            seq: word(8),
            body: bytes.get(HEADER..length)?,
        };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(reply)
    })
}

/// The refusal in an error message; none if it is an acknowledgement.
fn refusal(reply: &Reply<'_>) -> Option<Refusal> {
    let errno = -i32::from_ne_bytes(reply.body.get(..4)?.try_into().ok()?);
    (errno != 0).then(|| Refusal {
        seq: reply.seq,
        errno,
        message: error_text(reply),
    })
}

/// The kernel's own words follow the error number and the header (or, if it
/// was not cut, the whole) of the request.
fn error_text(reply: &Reply<'_>) -> String {
    if reply.flags & ACK_TLVS == 0 {
        return String::new();
    }
    let request = size_of::<i32>();
    let echoed = if reply.flags & CAPPED != 0 {
        HEADER
    } else {
        let length = reply.body.get(request..request + 4);
        let length = length.and_then(|bytes| bytes.try_into().ok());
        length.map_or(0, |bytes| u32::from_ne_bytes(bytes) as usize)
    };
    Attrs::after(reply.body, request + echoed.next_multiple_of(4))
        .string(ERROR_TEXT)
        .unwrap_or_default()
}

fn ended(what: &str, reply: &Reply<'_>) -> Result<(), Error> {
    match refusal(reply) {
        None => Ok(()),
        Some(refusal) => Err(Error::Refused {
            what: what.into(),
            message: refusal.message,
            source: io::Error::from_raw_os_error(refusal.errno),
        }),
    }
}

/// A dump ends with a status of its own.
fn done(what: &str, reply: &Reply<'_>) -> Result<(), Error> {
    let status = reply.body.get(..4).and_then(|bytes| bytes.try_into().ok());
    match status.map_or(0, i32::from_ne_bytes) {
        0.. => Ok(()),
        negative => Err(Error::Refused {
            what: what.into(),
            message: String::new(),
            source: io::Error::from_raw_os_error(-negative),
        }),
    }
}

/// Asks for large buffers: beyond the system's limit where we may, else up to
/// it. A transaction that does not fit is refused when it is sent.
fn widen(fd: &OwnedFd) {
    if sockopt::set_socket_send_buffer_size_force(fd, SEND_BUFFER).is_err() {
        let _ = sockopt::set_socket_send_buffer_size(fd, SEND_BUFFER);
    }
    if sockopt::set_socket_recv_buffer_size_force(fd, RECEIVE_BUFFER).is_err() {
        let _ = sockopt::set_socket_recv_buffer_size(fd, RECEIVE_BUFFER);
    }
}

/// Turns a boolean option on. Kernels without it give shorter errors.
fn set_netlink_option(fd: &OwnedFd, option: i32) {
    let on: libc::c_int = 1;
    // SAFETY: the descriptor is open, and the pointer and length describe
    // `on`, which outlives the call.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

fn failed(call: &'static str, source: rustix::io::Errno) -> Error {
    Error::Socket {
        call,
        source: source.into(),
    }
}
