//! External names: what others say about the name that a Service stands for.

use hickory_proto::{
    op::Message,
    rr::Record,
    serialize::binary::{BinEncodable, BinEncoder, NameEncoding},
};

use super::Shared;
use crate::{
    name::Name,
    wire::{self, Query, Rcode, Reply},
};

impl Shared {
    /// Adds what others say about `target` to a reply that leads to it. If
    /// nobody answers, the client is told so rather than that there is
    /// nothing, which it would remember.
    pub(super) async fn chase(&self, query: &Query, target: &str, reply: &mut Reply) {
        match self.look_up(target, query.kind).await {
            Some(records) => reply.raw_answers = records,
            None => {
                reply.clear();
                reply.rcode = Rcode::ServFail;
            }
        }
    }

    /// The records at a name outside the cluster, each as bytes. None if
    /// nobody answered.
    async fn look_up(&self, target: &str, kind: u16) -> Option<Vec<Vec<u8>>> {
        let name = Name::parse(target)?;
        let mut message = Vec::new();
        wire::write_query(0, &name, kind, &mut message);
        let query = wire::read(&message).ok()?;
        let mut answer = Vec::new();
        let remembered = self.forwarder.remembered(&query, &mut answer);
        if !remembered {
            self.forward(&query, &message, &mut answer).await?;
        }
        let answer = Message::from_vec(&answer).ok()?;
        let encoded = answer.answers.iter().map(encode);
        encoded.collect()
    }

    /// Asks by datagram, and over a connection if the answer does not fit.
    async fn forward(&self, query: &Query, message: &[u8], answer: &mut Vec<u8>) -> Option<()> {
        for datagram in [true, false] {
            let asked = self.forwarder.ask(query, message, datagram, answer).await;
            asked.ok()?;
            let truncated = answer.get(2)? & 0x02 != 0;
            if !truncated {
                break;
            }
        }
        Some(())
    }
}

/// A record without pointers into the message from which it comes.
fn encode(record: &Record) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    record.emit(&mut encoder).ok()?;
    Some(bytes)
}
