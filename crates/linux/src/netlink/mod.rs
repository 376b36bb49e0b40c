//! Netlink: the kernel's message protocol for links, routes, packet filters
//! and connection tracking. This module knows the framing (headers,
//! attributes, acknowledgements, dumps); what the messages mean is in
//! [`crate::link`], [`crate::nft`] and [`crate::conntrack`].
//!
//! Calls are synchronous: the kernel handles a netlink request inside the
//! system call that sends it, so there is nothing to await.

mod attr;
mod socket;

pub use attr::{Attrs, Writer};
pub use socket::{Protocol, Socket};

use std::io;

/// The request flag bits of a message header.
pub mod flags {
    /// It is a request.
    pub const REQUEST: u16 = 0x1;
    /// Answer also when all went well.
    pub const ACK: u16 = 0x4;
    /// Every object, not one.
    pub const DUMP: u16 = 0x300;
    /// Replace what is there.
    pub const REPLACE: u16 = 0x100;
    /// Fail if it is there.
    pub const EXCL: u16 = 0x200;
    /// Make it if it is absent.
    pub const CREATE: u16 = 0x400;
    /// Append to a list instead of going to its front.
    pub const APPEND: u16 = 0x800;
}

/// A netlink exchange that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("netlink socket: {call}")]
    Socket {
        /// The call.
        call: &'static str,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The kernel refused the request.
    #[error("the kernel refused to {what}{}", hint(.message))]
    Refused {
        /// What was asked: verb and object.
        what: String,
        /// The kernel's own words, or empty.
        message: String,
        /// The error number.
        #[source]
        source: io::Error,
    },
    /// An answer is shorter than its header says, or lacks what it must have.
    #[error("malformed netlink answer while trying to {what}")]
    Malformed {
        /// What was asked.
        what: String,
    },
    /// The objects changed again and again while they were being listed.
    #[error("objects kept changing while trying to {what}")]
    Unstable {
        /// What was asked.
        what: String,
    },
}

impl Error {
    /// The kernel's error number, if it was the kernel that refused.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }

    /// Whether the thing to be found or removed is not there.
    pub fn is_absent(&self) -> bool {
        matches!(
            self.errno(),
            Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL)
        )
    }

    /// Whether the thing to be made is there already.
    pub fn is_present(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }
}

fn hint(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}
