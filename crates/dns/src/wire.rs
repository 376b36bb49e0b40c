//! Questions read and answers written, as bytes.
//!
//! The answers of the cluster's zone go through here without allocating: they
//! are of few types, and their names are mostly those of the question. What
//! comes from other servers is read by `hickory-proto`.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// Why a message is not answered as a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not worth an answer: rubbish, or itself an answer.
    Drop,
    /// Answered by an error.
    Error(Rcode),
}

/// Reads a query. What is accepted follows the rules of CoreDNS' library
/// (github.com/miekg/dns, acceptfunc.go).
pub fn read(message: &[u8]) -> Result<Query, Refusal> {
    let header = message.get(..HEADER).ok_or(Refusal::Drop)?;
    if header[2] & 0x80 != 0 {
        return Err(Refusal::Drop);
    }
    if header[2] >> 3 & 0x0f != 0 {
        return Err(Refusal::Error(Rcode::NotImp));
    }
    let malformed = Refusal::Error(Rcode::FormErr);
    let [questions, answers, authorities, additionals] =
        [4, 6, 8, 10].map(|at| u16::from_be_bytes([header[at], header[at + 1]]));
    if questions != 1 || answers > 1 || authorities > 1 || additionals > 2 {
        return Err(malformed);
    }
    let name = Name::read(&message[HEADER..]).ok_or(malformed)?;
    let mut at = HEADER + name.wire().len();
    let kind = short(message, at).ok_or(malformed)?;
    let class = short(message, at + 2).ok_or(malformed)?;
    at += 4;
    let mut extensions = None;
    for _ in 0..answers + authorities + additionals {
        let record = RecordView::read(message, at).ok_or(malformed)?;
        if record.kind == kind::OPT {
            if extensions.is_some() {
                return Err(malformed);
            }
            extensions = Some(Extensions {
                payload: record.class,
                version: record.ttl.to_be_bytes()[1],
                dnssec: record.ttl & 0x8000 != 0,
            });
        }
        at = record.end;
    }
    Ok(Query {
        id: u16::from_be_bytes([header[0], header[1]]),
        recursion_desired: header[2] & 1 != 0,
        checking_disabled: header[3] & 0x10 != 0,
        name,
        kind,
        class,
        extensions,
    })
}

/// The fixed part of a record in a message.
pub(crate) struct RecordView {
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    /// Where the TTL stands.
    pub ttl_at: usize,
    /// Where the record ends.
    pub end: usize,
}

impl RecordView {
    pub(crate) fn read(message: &[u8], at: usize) -> Option<Self> {
        let fixed = skip_name(message, at)?;
        let data_at = fixed + 10;
        let end = data_at + usize::from(short(message, fixed + 8)?);
        (end <= message.len()).then_some(())?;
        let ttl = message.get(fixed + 4..fixed + 8)?;
        Some(Self {
            kind: short(message, fixed)?,
            class: short(message, fixed + 2)?,
            ttl: u32::from_be_bytes(ttl.try_into().ok()?),
            ttl_at: fixed + 4,
            end,
        })
    }
}

/// The end of a name, which a pointer ends at once.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return (at + 1 < message.len()).then_some(at + 2),
            size @ 1..=63 => at += usize::from(size) + 1,
            _ => return None,
        }
    }
}

pub(crate) fn short(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
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

/// Writes an answer of at most `limit` bytes into `out`. Answers that do not
/// fit are left out and the answer is marked as truncated; what merely may
/// help is left out silently.
pub fn write(query: &Query, reply: &Reply, limit: usize, out: &mut Vec<u8>) {
    let mut writer = Writer {
        zone_at: HEADER + query.name.start(query.name.count() - reply.zone_labels),
        zone: &query.name.wire()[query.name.start(query.name.count() - reply.zone_labels)..],
        limit: limit - if query.extensions.is_some() { 11 } else { 0 },
        targets: Vec::new(),
        out,
    };
    writer.start(query, reply);
    let mut counts = [1, 0, 0, 0];
    let truncated = !writer.answers(reply, &mut counts);
    if !truncated {
        if let Some(record) = &reply.authority {
            counts[2] = u16::from(writer.record(record));
        }
        for record in &reply.additionals {
            if !writer.record(record) {
                break;
            }
            counts[3] += 1;
        }
    }
    if let Some(extensions) = query.extensions {
        writer.extensions(extensions, reply.rcode);
        counts[3] += 1;
    }
    for (index, count) in counts.iter().enumerate() {
        writer.out[4 + 2 * index..6 + 2 * index].copy_from_slice(&count.to_be_bytes());
    }
    if truncated {
        writer.out[2] |= 0x02;
    }
}

/// Writes an error for a message that could not be read: its number is all
/// that is known of it. The question is not repeated.
pub fn write_error(message: &[u8], rcode: Rcode, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&message[..2]);
    out.push(0x80 | message[2] & 0x79);
    out.push(rcode.number() & 0x0f);
    out.resize(HEADER, 0);
}

struct Writer<'a> {
    zone_at: usize,
    zone: &'a [u8],
    limit: usize,
    /// Where the hosts stand to which the answers point.
    targets: Vec<u16>,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn start(&mut self, query: &Query, reply: &Reply) {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        self.out.clear();
        self.out.extend_from_slice(&query.id.to_be_bytes());
        self.out
            .push(0x80 | bit(reply.authoritative, 0x04) | bit(query.recursion_desired, 0x01));
        self.out.push(
            bit(reply.recursion_available, 0x80)
                | bit(query.checking_disabled, 0x10)
                | reply.rcode.number() & 0x0f,
        );
        self.out.resize(HEADER, 0);
        self.out.extend_from_slice(query.name.wire());
        self.short(query.kind);
        self.short(query.class);
    }

    /// Writes all answers; says whether all fitted.
    fn answers(&mut self, reply: &Reply, counts: &mut [u16; 4]) -> bool {
        for record in &reply.answers {
            if !self.record(record) {
                return false;
            }
            counts[1] += 1;
        }
        for record in &reply.raw_answers {
            if self.out.len() + record.len() > self.limit {
                return false;
            }
            self.out.extend_from_slice(record);
            counts[1] += 1;
        }
        true
    }

    /// Writes a record, or nothing if it does not fit.
    fn record(&mut self, record: &Record) -> bool {
        let start = self.out.len();
        match &record.owner {
            Owner::Question => self.pointer(HEADER),
            Owner::Zone => self.pointer(self.zone_at),
            Owner::TargetOf(index) => match self.targets.get(*index) {
                Some(at) => self.pointer(usize::from(*at)),
                None => return false,
            },
            Owner::Name(name) => self.name(name),
        }
        let kind = match &record.data {
            Data::A(_) => kind::A,
            Data::Aaaa(_) => kind::AAAA,
            Data::Cname(_) => kind::CNAME,
            Data::Ns(_) => kind::NS,
            Data::Ptr(_) => kind::PTR,
            Data::Txt(_) => kind::TXT,
            Data::Srv { .. } => kind::SRV,
            Data::Soa { .. } => kind::SOA,
        };
        self.short(kind);
        self.short(1);
        self.out.extend_from_slice(&record.ttl.to_be_bytes());
        let length_at = self.out.len();
        self.short(0);
        let target_at = self.data(&record.data);
        let length = self.out.len() - length_at - 2;
        if self.out.len() > self.limit || length > usize::from(u16::MAX) {
            self.out.truncate(start);
            return false;
        }
        self.out[length_at..length_at + 2].copy_from_slice(&(length as u16).to_be_bytes());
        // A pointer reaches 14 bits far; further hosts have no helpers.
        if let Some(at) = target_at.filter(|at| *at < 0x4000) {
            self.targets.push(at as u16);
        }
        true
    }

    /// Writes a record's data; says where the name in it stands.
    fn data(&mut self, data: &Data) -> Option<usize> {
        match data {
            Data::A(address) => self.out.extend_from_slice(&address.octets()),
            Data::Aaaa(address) => self.out.extend_from_slice(&address.octets()),
            Data::Cname(target) | Data::Ns(target) | Data::Ptr(target) => {
                return Some(self.target(target));
            }
            Data::Txt(text) => {
                self.out.push(text.len().min(255) as u8);
                self.out.extend_from_slice(text.as_bytes());
            }
            Data::Srv {
                weight,
                port,
                target,
            } => {
                for number in [0, *weight, *port] {
                    self.short(number);
                }
                return Some(self.target(target));
            }
            Data::Soa { serial, minimum } => {
                for prefix in ["ns.dns", "hostmaster"] {
                    self.labels(prefix);
                    self.pointer(self.zone_at);
                }
                for number in [*serial, 7200, 1800, 86400, *minimum] {
                    self.out.extend_from_slice(&number.to_be_bytes());
                }
            }
        }
        None
    }

    fn target(&mut self, target: &Target) -> usize {
        let at = self.out.len();
        match target {
            Target::InZone(prefix) => {
                self.labels(prefix);
                self.out.extend_from_slice(self.zone);
            }
            Target::Name(name) => self.name(name),
        }
        at
    }

    fn name(&mut self, name: &str) {
        self.labels(name);
        self.out.push(0);
    }

    /// Writes labels. Names of objects always fit; others are cut rather than
    /// written as something else.
    fn labels(&mut self, name: &str) {
        for label in name.split('.').filter(|label| !label.is_empty()) {
            let bytes = &label.as_bytes()[..label.len().min(63)];
            self.out.push(bytes.len() as u8);
            self.out.extend_from_slice(bytes);
        }
    }

    fn extensions(&mut self, extensions: Extensions, rcode: Rcode) {
        self.out.push(0);
        self.short(kind::OPT);
        self.short(PAYLOAD);
        self.out.push(rcode.number() >> 4);
        self.out.push(0);
        self.short(if extensions.dnssec { 0x8000 } else { 0 });
        self.short(0);
    }

    fn pointer(&mut self, at: usize) {
        self.short(0xc000 | at as u16);
    }

    fn short(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }
}

/// Writes a query for another server: a name and a type, with extensions.
pub fn write_query(id: u16, name: &Name, kind: u16, out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    out.extend_from_slice(name.wire());
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.push(0);
    out.extend_from_slice(&kind::OPT.to_be_bytes());
    out.extend_from_slice(&PAYLOAD.to_be_bytes());
    out.extend_from_slice(&[0; 6]);
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Message;

    use super::*;

    fn query(name: &str, kind: u16) -> Query {
        let mut out = Vec::new();
        write_query(7, &Name::parse(name).unwrap(), kind, &mut out);
        read(&out).unwrap()
    }

    #[test]
    fn queries_are_read() {
        let query = query("Web.default.svc.cluster.local", kind::SRV);
        assert_eq!((query.id, query.kind, query.class), (7, 33, 1));
        assert!(query.recursion_desired);
        assert_eq!(query.limit(true), 1232);
        assert_eq!(query.limit(false), 65535);
        assert_eq!(query.name.to_string(), "Web.default.svc.cluster.local.");
    }

    #[test]
    fn what_is_no_query_is_refused() {
        let mut good = Vec::new();
        write_query(7, &Name::parse("a.b").unwrap(), 1, &mut good);
        let with = |at: usize, byte: u8| {
            let mut message = good.clone();
            message[at] = byte;
            read(&message).err()
        };
        assert_eq!(read(&good[..11]).err(), Some(Refusal::Drop));
        assert_eq!(with(2, 0x81), Some(Refusal::Drop), "an answer");
        assert_eq!(
            with(2, 0x28),
            Some(Refusal::Error(Rcode::NotImp)),
            "an update"
        );
        let malformed = Some(Refusal::Error(Rcode::FormErr));
        assert_eq!(with(5, 0), malformed, "no question");
        assert_eq!(with(5, 2), malformed, "two questions");
        assert_eq!(with(11, 3), malformed, "three additionals");
        assert_eq!(with(12, 0xc0), malformed, "a pointer");
        for cut in HEADER..good.len() {
            assert_eq!(read(&good[..cut]).err(), malformed, "cut at {cut}");
        }
    }

    #[test]
    fn hickory_reads_what_is_written() {
        let query = query("_http._tcp.web.default.svc.CLUSTER.local", kind::SRV);
        let srv = |host: &str| Record {
            owner: Owner::Question,
            ttl: 5,
            data: Data::Srv {
                weight: 50,
                port: 80,
                target: Target::InZone(host.to_owned()),
            },
        };
        let reply = Reply {
            authoritative: true,
            zone_labels: 2,
            answers: vec![srv("a.web.default.svc"), srv("b.web.default.svc")],
            additionals: vec![Record {
                owner: Owner::TargetOf(1),
                ttl: 5,
                data: Data::A(Ipv4Addr::new(10, 0, 0, 2)),
            }],
            authority: Some(Record {
                owner: Owner::Zone,
                ttl: 5,
                data: Data::Soa {
                    serial: 9,
                    minimum: 5,
                },
            }),
            ..Reply::default()
        };
        let mut out = Vec::new();
        write(&query, &reply, 1232, &mut out);
        let message = Message::from_vec(&out).unwrap();
        let texts: Vec<String> = message.all_sections().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "_http._tcp.web.default.svc.CLUSTER.local. 5 IN SRV 0 50 80 a.web.default.svc.CLUSTER.local.",
                "_http._tcp.web.default.svc.CLUSTER.local. 5 IN SRV 0 50 80 b.web.default.svc.CLUSTER.local.",
                "CLUSTER.local. 5 IN SOA ns.dns.CLUSTER.local. hostmaster.CLUSTER.local. 9 7200 1800 86400 5",
                "b.web.default.svc.CLUSTER.local. 5 IN A 10.0.0.2",
            ]
        );
        assert!(message.metadata.authoritative && !message.metadata.truncation);
        assert!(message.edns.is_some());
    }

    #[test]
    fn what_does_not_fit_is_marked() {
        let query = query("many.default.svc.cluster.local", kind::A);
        let answers = (0..200).map(|n| Record {
            owner: Owner::Question,
            ttl: 5,
            data: Data::A(Ipv4Addr::new(10, 0, 0, n)),
        });
        let reply = Reply {
            zone_labels: 2,
            answers: answers.collect(),
            ..Reply::default()
        };
        let mut out = Vec::new();
        for limit in [512, 1232, 65535] {
            write(&query, &reply, limit, &mut out);
            assert!(out.len() <= limit);
            let message = Message::from_vec(&out).unwrap();
            assert_eq!(message.metadata.truncation, limit < 65535);
            assert_eq!(message.answers.len() == 200, limit == 65535);
            assert!(message.answers.len() > 20);
        }
    }
}
