//! The socket to nf_tables: sends transactions, asks for the generation.

use std::io;

use super::batch::{Batch, SUBSYSTEM, kind};
use crate::netlink::{self, Attrs, Protocol, Socket};

/// Length of the fixed part of a netfilter message.
pub(super) const FIXED: usize = 4;
const GENERATION_ID: u16 = 1;

/// A socket to the packet filter of one network namespace.
#[derive(Debug)]
pub struct Nft {
    pub(super) socket: Socket,
}

/// A packet filter operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a transaction; nothing of it happened.
    #[error("the kernel refused to {what}{} (message {index} of {count})", words(.message))]
    Refused {
        /// What the first refused message was to do.
        what: String,
        /// The kernel's own words, or empty.
        message: String,
        /// Which message it was, from one.
        index: usize,
        /// How many there were.
        count: usize,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// The transaction as a whole was refused.
    #[error("the kernel refused a transaction of {count} messages and {bytes} bytes")]
    Commit {
        /// How many messages there were.
        count: usize,
        /// Their size.
        bytes: usize,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// The socket failed, or a listing.
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
}

impl Error {
    /// The kernel's error number, if it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } | Self::Commit { source, .. } => source.raw_os_error(),
            Self::Netlink(error) => error.errno(),
        }
    }
}

impl Nft {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(Protocol::Netfilter)?;
        Ok(Self { socket })
    }

    /// Makes a transaction happen, all of it or nothing.
    pub fn commit(&mut self, batch: Batch) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let (writer, what) = batch.finish();
        let refusals = self.socket.batch(writer.bytes())?;
        let Some(first) = refusals.into_iter().min_by_key(|refusal| refusal.seq) else {
            return Ok(());
        };
        let source = io::Error::from_raw_os_error(first.errno);
        match (first.seq as usize)
            .checked_sub(1)
            .and_then(|index| what.get(index))
        {
            Some(text) => Err(Error::Refused {
                what: text.to_string(),
                message: first.message,
                index: first.seq as usize,
                count: what.len(),
                source,
            }),
            None => Err(Error::Commit {
                count: what.len(),
                bytes: writer.len(),
                source,
            }),
        }
    }

    /// A number that changes with every transaction of anybody in this
    /// namespace.
    pub fn generation(&mut self) -> Result<u32, Error> {
        let what = "read the packet filter's generation";
        let answer = self
            .socket
            .get(what, SUBSYSTEM | kind::GET_GENERATION, |body| {
                body.raw(&[0; FIXED]);
            })?;
        let id = Attrs::after(&answer, FIXED).be32(GENERATION_ID);
        Ok(id.ok_or_else(|| netlink::Error::Malformed { what: what.into() })?)
    }
}

fn words(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
