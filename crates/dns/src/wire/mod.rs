//! Questions read and answers written, as bytes.
//!
//! The answers of the cluster's zone go through here without allocating: they
//! are of few types, and their names are mostly those of the question. What
//! comes from other servers is read by `hickory-proto`.

mod read;
mod write;

use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) use read::{RecordView, short, skip_name};
pub use read::{Refusal, read};
pub use write::{write, write_error, write_query};

use crate::name::Name;

/// Length of a message's header.
pub const HEADER: usize = 12;

/// What we say that we can take in one datagram.
const PAYLOAD: u16 = 1232;

/// Types of records, as on the wire.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// A name server.
    pub const NS: u16 = 2;
    /// Another name.
    pub const CNAME: u16 = 5;
    /// The start of a zone.
    pub const SOA: u16 = 6;
    /// The name of an address.
    pub const PTR: u16 = 12;
    /// A mail server.
    pub const MX: u16 = 15;
    /// Text.
    pub const TXT: u16 = 16;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// A service's port and host.
    pub const SRV: u16 = 33;
    /// Extensions.
    pub const OPT: u16 = 41;
    /// A part of a zone.
    pub const IXFR: u16 = 251;
    /// A whole zone.
    pub const AXFR: u16 = 252;
    /// Whatever there is.
    pub const ANY: u16 = 255;
}

/// What came of a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rcode {
    /// It was answered.
    #[default]
    NoError,
    /// It cannot be understood.
    FormErr,
    /// The server cannot answer.
    ServFail,
    /// There is no such name.
    NxDomain,
    /// There is no such operation here.
    NotImp,
    /// The server will not answer.
    Refused,
    /// The extensions' version is unknown.
    BadVers,
}

impl Rcode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::BadVers,
    ];

    /// Its number.
    pub fn number(self) -> u8 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::BadVers => 16,
        }
    }

    /// Its name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::BadVers => "BADVERS",
        }
    }
}

/// The extensions (EDNS) of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    /// What the client can take in one datagram.
    pub payload: u16,
    /// Their version.
    pub version: u8,
    /// Whether signatures are wanted.
    pub dnssec: bool,
}

/// A query.
#[derive(Clone, Debug)]
pub struct Query {
    /// The client's number for it.
    pub id: u16,
    /// Whether the client wants us to ask others.
    pub recursion_desired: bool,
    /// Whether the client checks signatures itself.
    pub checking_disabled: bool,
    /// The name in question.
    pub name: Name,
    /// The type in question.
    pub kind: u16,
    /// The class in question; 1 is the Internet.
    pub class: u16,
    /// Extensions, if the client has any.
    pub extensions: Option<Extensions>,
}

impl Query {
    /// How long an answer may be.
    pub fn limit(&self, datagram: bool) -> usize {
        match self.extensions {
            _ if !datagram => usize::from(u16::MAX),
            Some(extensions) => usize::from(extensions.payload.max(512)),
            None => 512,
        }
    }
}

/// To whom a record belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The name in question, in the client's spelling.
    Question,
    /// The zone, in the client's spelling.
    Zone,
    /// The host that the n-th answer points to.
    TargetOf(usize),
    /// Another name.
    Name(String),
}

/// A name inside a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// What comes before the zone, which is written in the client's spelling.
    InZone(String),
    /// A whole name.
    Name(String),
}

/// The content of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// Another name.
    Cname(Target),
    /// A name server.
    Ns(Target),
    /// The name of an address.
    Ptr(Target),
    /// Text.
    Txt(&'static str),
    /// A service's port and host; its priority is 0.
    Srv {
        /// Its share among those of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: Target,
    },
    /// The start of the zone.
    Soa {
        /// Grows with each change.
        serial: u32,
        /// For how long to remember that something is not there.
        minimum: u32,
    },
}

/// A record to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// To whom it belongs.
    pub owner: Owner,
    /// For how many seconds it may be remembered.
    pub ttl: u32,
    /// Its content.
    pub data: Data,
}

/// An answer to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// What came of the query.
    pub rcode: Rcode,
    /// Whether the server is the authority.
    pub authoritative: bool,
    /// Whether the server asks others.
    pub recursion_available: bool,
    /// How many labels the zone has at the end of the question's name.
    pub zone_labels: usize,
    /// Records that answer.
    pub answers: Vec<Record>,
    /// Further answers, as bytes without compression.
    pub raw_answers: Vec<Vec<u8>>,
    /// The start of the zone, where nothing answers.
    pub authority: Option<Record>,
    /// Records that may help.
    pub additionals: Vec<Record>,
}

impl Reply {
    /// Nothing but an error.
    pub fn error(rcode: Rcode) -> Self {
        Self {
            rcode,
            ..Self::default()
        }
    }

    /// Makes it as new, and keeps its memory.
    pub fn clear(&mut self) {
        self.rcode = Rcode::NoError;
        self.authoritative = false;
        self.recursion_available = false;
        self.zone_labels = 0;
        self.answers.clear();
        self.raw_answers.clear();
        self.authority = None;
        self.additionals.clear();
    }
}

#[cfg(test)]
mod tests;
