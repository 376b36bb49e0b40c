//! Writes answers, errors, and queries for other servers.

use super::{Data, Extensions, HEADER, Owner, PAYLOAD, Query, Rcode, Record, Reply, Target, kind};
use crate::name::Name;

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
