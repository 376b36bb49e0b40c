//! Answers of others, remembered for a short time.
//!
//! Follows CoreDNS, plugin/cache: at most 30 seconds, at least 5, failures for
//! 5; all records of an answer show what is left of that time.

use std::collections::HashMap;

use stdx::Instant;

use super::Key;
use crate::wire::{HEADER, RecordView, kind, short, skip_name};

const SECONDS_MAX: u32 = 30;
const SECONDS_MIN: u32 = 5;
const FAILURE_SECONDS: u32 = 5;
const ENTRIES_MAX: usize = 10_000;

/// Answers by question.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
}

struct Entry {
    answer: Vec<u8>,
    stored: Instant,
    seconds: u32,
}

impl Entry {
    fn left(&self, now: Instant) -> Option<u32> {
        let age = u32::try_from((now - self.stored).as_secs()).unwrap_or(u32::MAX);
        self.seconds.checked_sub(age).filter(|left| *left > 0)
    }
}

impl Cache {
    /// Writes a remembered answer into `out`; says whether there is one.
    pub(super) fn get(&mut self, key: &Key, now: Instant, out: &mut Vec<u8>) -> bool {
        let Some(entry) = self.entries.get(key) else {
            return false;
        };
        let Some(left) = entry.left(now) else {
            self.entries.remove(key);
            return false;
        };
        out.clear();
        out.extend_from_slice(&entry.answer);
        set_ttl(out, left);
        true
    }

    /// Remembers an answer, if it is of a kind to be remembered.
    pub(super) fn put(&mut self, key: &Key, answer: &[u8], now: Instant) {
        let Some(seconds) = lifetime(answer) else {
            return;
        };
        if self.entries.len() >= ENTRIES_MAX {
            self.entries.retain(|_, entry| entry.left(now).is_some());
        }
        if self.entries.len() >= ENTRIES_MAX {
            // Any eighth will do: what is asked again comes back.
            let mut number = 0;
            self.entries.retain(|_, _| {
                number += 1;
                number % 8 != 0
            });
        }
        let entry = Entry {
            answer: answer.to_vec(),
            stored: now,
            seconds,
        };
        self.entries.insert(key.clone(), entry);
    }
}

/// An answer as it would come out of the cache now, so that a client does not
/// see times jump.
pub(super) fn capped(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    if let Some(seconds) = lifetime(&answer) {
        set_ttl(&mut answer, seconds);
    }
    answer
}

/// For how many seconds an answer may be remembered; none if not at all.
fn lifetime(answer: &[u8]) -> Option<u32> {
    let truncated = answer.get(2)? & 0x02 != 0;
    if truncated {
        return None;
    }
    let answers = short(answer, 6)?;
    let mut least: Option<u32> = None;
    let mut denied = None;
    let mut index = 0;
    each_record(answer, |record, message| {
        if index < answers {
            least = Some(least.map_or(record.ttl, |least| least.min(record.ttl)));
        } else if record.kind == kind::SOA {
            // For how long there is nothing is the last number in it.
            let minimum = &message[record.end.saturating_sub(4)..record.end];
            let minimum = minimum.try_into().map_or(0, u32::from_be_bytes);
            denied = Some(record.ttl.min(minimum));
        }
        index += 1;
    })?;
    let seconds = match answer.get(3)? & 0x0f {
        0 if answers > 0 => least?,
        // Nothing without a word for how long is not remembered.
        0 | 3 => denied?,
        2 => return Some(FAILURE_SECONDS),
        _ => return None,
    };
    Some(seconds.clamp(SECONDS_MIN, SECONDS_MAX))
}

fn set_ttl(answer: &mut [u8], seconds: u32) {
    let mut places = Vec::new();
    let walked = each_record(answer, |record, _| places.push(record.ttl_at));
    if walked.is_some() {
        for at in places {
            answer[at..at + 4].copy_from_slice(&seconds.to_be_bytes());
        }
    }
}

/// Shows all records but the extensions. None if the message is malformed.
fn each_record(message: &[u8], mut show: impl FnMut(&RecordView, &[u8])) -> Option<()> {
    let mut at = HEADER;
    for _ in 0..short(message, 4)? {
        at = skip_name(message, at)? + 4;
    }
    let count = u32::from(short(message, 6)?) + u32::from(short(message, 8)?);
    for _ in 0..count + u32::from(short(message, 10)?) {
        let record = RecordView::read(message, at)?;
        if record.kind != kind::OPT {
            show(&record, message);
        }
        at = record.end;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use hickory_proto::{
        op::{Message, OpCode, Query as Question, ResponseCode},
        rr::{Name as Domain, RData, Record, RecordType, rdata},
    };

    use super::*;
    use crate::{name::Name, wire};

    fn key(name: &str) -> Key {
        let mut bytes = Vec::new();
        wire::write_query(1, &Name::parse(name).unwrap(), kind::A, &mut bytes);
        Key::of(&wire::read(&bytes).unwrap())
    }

    fn message(rcode: ResponseCode, ttls: &[u32], soa: Option<(u32, u32)>) -> Vec<u8> {
        let name = Domain::from_ascii("a.example.").unwrap();
        let mut message = Message::response(9, OpCode::Query);
        message.metadata.response_code = rcode;
        message.add_query(Question::query(name.clone(), RecordType::A));
        for ttl in ttls {
            let data = RData::A(rdata::A(Ipv4Addr::new(1, 2, 3, 4)));
            message.add_answer(Record::from_rdata(name.clone(), *ttl, data));
        }
        if let Some((ttl, minimum)) = soa {
            let data = rdata::SOA::new(name.clone(), name.clone(), 1, 2, 3, 4, minimum);
            message.add_authority(Record::from_rdata(name, ttl, RData::SOA(data)));
        }
        message.to_vec().unwrap()
    }

    #[test]
    fn lifetimes() {
        use ResponseCode::{NXDomain, NoError, Refused, ServFail};
        for (message, want) in [
            (message(NoError, &[300, 17], None), Some(17)),
            (message(NoError, &[300], None), Some(30)),
            (message(NoError, &[0], None), Some(5)),
            (message(NoError, &[], None), None),
            (message(NoError, &[], Some((20, 60))), Some(20)),
            (message(NXDomain, &[], Some((60, 10))), Some(10)),
            (message(NXDomain, &[], None), None),
            (message(ServFail, &[], None), Some(5)),
            (message(Refused, &[], None), None),
        ] {
            assert_eq!(lifetime(&message), want);
        }
        assert_eq!(lifetime(b"short"), None);
    }

    #[test]
    fn what_is_left_is_shown_and_then_nothing() {
        let mut cache = Cache::default();
        let answer = message(ResponseCode::NoError, &[300, 20], None);
        let start = Instant::ORIGIN + Duration::from_secs(100);
        cache.put(&key("a.example"), &answer, start);
        let mut out = Vec::new();
        assert!(!cache.get(&key("b.example"), start, &mut out));
        assert!(cache.get(&key("A.Example"), start + Duration::from_secs(7), &mut out));
        let message = Message::from_vec(&out).unwrap();
        let ttls: Vec<u32> = message.answers.iter().map(|record| record.ttl).collect();
        assert_eq!(ttls, [13, 13]);
        assert!(!cache.get(&key("a.example"), start + Duration::from_secs(20), &mut out));
        assert!(cache.entries.is_empty());
    }

    #[test]
    fn it_stays_small() {
        let mut cache = Cache::default();
        let answer = message(ResponseCode::NoError, &[300], None);
        for number in 0..ENTRIES_MAX * 2 {
            cache.put(
                &key(&format!("n{number}.example")),
                &answer,
                Instant::ORIGIN,
            );
        }
        assert!(cache.entries.len() <= ENTRIES_MAX);
        assert!(cache.entries.len() > ENTRIES_MAX / 2);
    }
}
