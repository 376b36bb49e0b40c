//! Numbers about the server, under the names that CoreDNS gives them.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::wire::{Rcode, kind};

/// Types that are counted by name.
const KINDS: [(u16, &str); 10] = [
    (kind::A, "A"),
    (kind::AAAA, "AAAA"),
    (kind::ANY, "ANY"),
    (kind::CNAME, "CNAME"),
    (kind::MX, "MX"),
    (kind::NS, "NS"),
    (kind::PTR, "PTR"),
    (kind::SOA, "SOA"),
    (kind::SRV, "SRV"),
    (kind::TXT, "TXT"),
];

/// What the server counts.
#[derive(Default)]
pub struct Metrics {
    /// Per transport and type; the last type is any other.
    requests: [[AtomicU64; KINDS.len() + 1]; 2],
    responses: [AtomicU64; Rcode::ALL.len()],
    dropped: AtomicU64,
    cache_hits: AtomicU64,
    cache_misses: AtomicU64,
    forwarded: AtomicU64,
    forward_failures: AtomicU64,
    forward_rejected: AtomicU64,
}

/// A number with its name and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The metric.
    pub name: &'static str,
    /// Label names and values.
    pub labels: Vec<(&'static str, &'static str)>,
    /// The count.
    pub value: u64,
}

impl Metrics {
    /// All counts that are not zero.
    pub fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (protocol, counters) in ["udp", "tcp"].into_iter().zip(&self.requests) {
            let names = KINDS.iter().map(|(_, name)| *name).chain(["other"]);
            for (name, counter) in names.zip(counters) {
                let labels = [("proto", protocol), ("type", name)];
                push(&mut samples, "coredns_dns_requests_total", &labels, counter);
            }
        }
        for (rcode, counter) in Rcode::ALL.iter().zip(&self.responses) {
            let labels = [("rcode", rcode.as_str())];
            push(
                &mut samples,
                "coredns_dns_responses_total",
                &labels,
                counter,
            );
        }
        for (name, counter) in [
            ("coredns_dns_dropped_total", &self.dropped),
            ("coredns_cache_hits_total", &self.cache_hits),
            ("coredns_cache_misses_total", &self.cache_misses),
            ("coredns_forward_requests_total", &self.forwarded),
            ("coredns_forward_failures_total", &self.forward_failures),
            (
                "coredns_forward_max_concurrent_rejects_total",
                &self.forward_rejected,
            ),
        ] {
            push(&mut samples, name, &[], counter);
        }
        samples
    }

    pub(crate) fn request(&self, datagram: bool, kind: u16) {
        let known = KINDS.iter().position(|(number, _)| *number == kind);
        let counters = &self.requests[usize::from(!datagram)];
        add(&counters[known.unwrap_or(KINDS.len())]);
    }

    pub(crate) fn response(&self, rcode: Rcode) {
        let index = Rcode::ALL.iter().position(|other| *other == rcode);
        add(&self.responses[index.unwrap_or(0)]);
    }

    /// Counts an answer of others by its number.
    pub(crate) fn response_number(&self, number: u8) {
        let of = |rcode: &&Rcode| rcode.number() == number;
        self.response(
            Rcode::ALL
                .iter()
                .find(of)
                .copied()
                .unwrap_or(Rcode::ServFail),
        );
    }

    pub(crate) fn dropped(&self) {
        add(&self.dropped);
    }

    pub(crate) fn cache(&self, hit: bool) {
        add(if hit {
            &self.cache_hits
        } else {
            &self.cache_misses
        });
    }

    pub(crate) fn forwarded(&self) {
        add(&self.forwarded);
    }

    pub(crate) fn forward_failed(&self) {
        add(&self.forward_failures);
    }

    pub(crate) fn forward_rejected(&self) {
        add(&self.forward_rejected);
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn push(
    samples: &mut Vec<Sample>,
    name: &'static str,
    labels: &[(&'static str, &'static str)],
    counter: &AtomicU64,
) {
    let value = counter.load(Ordering::Relaxed);
    if value > 0 {
        samples.push(Sample {
            name,
            labels: labels.to_vec(),
            value,
        });
    }
}
