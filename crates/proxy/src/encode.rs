//! Entries as the bytes of map elements, and back.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use linux::nft::{Element, OwnedElement, OwnedValue};

use crate::{
    entry::{Entry, Key, Map, Masquerade, Shape, Value},
    layout::octets,
    model::{Cidr, Frontend, Protocol},
};

/// An entry's bytes.
#[derive(Debug)]
pub(crate) struct Encoded {
    key: Vec<u8>,
    key_end: Option<Vec<u8>>,
    value: Vec<u8>,
}

impl Encoded {
    pub(crate) fn new(entry: &Entry) -> Self {
        let (key, key_end) = encode_key(entry.map, &entry.key);
        let mut value = Vec::new();
        encode_value(entry.value, &mut value);
        Self {
            key,
            key_end,
            value,
        }
    }

    /// The element to add.
    pub(crate) fn element(&self) -> Element<'_> {
        let element = if self.value.is_empty() {
            Element::key(&self.key)
        } else {
            Element::data(&self.key, &self.value)
        };
        Element {
            key_end: self.key_end.as_deref(),
            ..element
        }
    }

    /// The element to remove, which is known by its key.
    pub(crate) fn bare(&self) -> Element<'_> {
        Element {
            key_end: self.key_end.as_deref(),
            ..Element::key(&self.key)
        }
    }
}

/// The entry that an element of a map is; none if it is not one of ours.
pub(crate) fn decode(map: Map, element: &OwnedElement, ipv6: bool) -> Option<Entry> {
    let mut key = Reader::new(&element.key, ipv6);
    let mut end = Reader::new(element.key_end.as_deref().unwrap_or_default(), ipv6);
    let key = match map {
        Map::Services | Map::ServicesLocal | Map::Restricted => Key::Frontend(key.frontend()?),
        Map::NodePorts | Map::NodePortsLocal => Key::Frontend(key.node_frontend()?),
        Map::Endpoints | Map::Picks | Map::Members => Key::Slot {
            slot: key.word()?,
            group: key.word()?,
        },
        Map::ClusterIps | Map::Hairpins => Key::Address(key.address()?),
        Map::Allowed => {
            let frontend = key.frontend()?;
            let first = key.address()?;
            end.frontend()?;
            Key::Source(frontend, range(first, end.address()?)?)
        }
    };
    let value = match &element.value {
        OwnedValue::None => Value::None,
        OwnedValue::Verdict(_) => return None,
        OwnedValue::Data(bytes) => decode_value(map, &mut Reader::new(bytes, ipv6))?,
    };
    Some(Entry { map, key, value })
}

fn encode_key(map: Map, key: &Key) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut bytes = Vec::with_capacity(28);
    match key {
        Key::Frontend(frontend) => encode_frontend(frontend, &mut bytes),
        Key::Slot { slot, group } => {
            bytes.extend(slot.to_ne_bytes());
            bytes.extend(group.to_ne_bytes());
        }
        Key::Address(address) => {
            bytes.extend(octets(*address));
            if map == Map::Hairpins {
                bytes.extend(octets(*address));
            }
        }
        Key::Source(frontend, cidr) => {
            encode_frontend(frontend, &mut bytes);
            let mut end = bytes.clone();
            bytes.extend(octets(cidr.address));
            end.extend(octets(cidr.last()));
            return (bytes, Some(end));
        }
    }
    (bytes, None)
}

fn encode_frontend(frontend: &Frontend, bytes: &mut Vec<u8>) {
    bytes.extend([frontend.protocol.number(), 0, 0, 0]);
    if let Some(address) = frontend.address {
        bytes.extend(octets(address));
    }
    encode_port(frontend.port, bytes);
}

fn encode_port(port: u16, bytes: &mut Vec<u8>) {
    bytes.extend(port.to_be_bytes());
    bytes.extend([0, 0]);
}

fn encode_value(value: Value, bytes: &mut Vec<u8>) {
    match value {
        Value::None => {}
        Value::Target {
            group,
            shape,
            masquerade,
        } => {
            for word in [shape.count(), group, shape.number(), masquerade.number()] {
                bytes.extend(word.to_ne_bytes());
            }
        }
        Value::Endpoint(address, port) => {
            bytes.extend(octets(address));
            encode_port(port, bytes);
        }
        Value::Member(member) => {
            bytes.extend([0; 4]);
            bytes.extend(member.to_ne_bytes());
        }
    }
}

fn decode_value(map: Map, value: &mut Reader<'_>) -> Option<Value> {
    match map {
        Map::Services | Map::ServicesLocal | Map::NodePorts | Map::NodePortsLocal => {
            value.word()?;
            Some(Value::Target {
                group: value.word()?,
                shape: Shape::from_number(value.word()?),
                masquerade: Masquerade::from_number(value.word()?)?,
            })
        }
        Map::Endpoints | Map::Members => Some(Value::Endpoint(value.address()?, value.port()?)),
        Map::Picks => {
            value.word()?;
            Some(Value::Member(value.word()?))
        }
        Map::ClusterIps | Map::Hairpins | Map::Restricted | Map::Allowed => None,
    }
}

/// The prefix from one address to another; none if it is not a prefix.
fn range(first: IpAddr, last: IpAddr) -> Option<Cidr> {
    let width = if first.is_ipv4() { 32 } else { 128 };
    (0..=width)
        .filter_map(|bits| Cidr::new(first, bits))
        .find(|cidr| cidr.address == first && cidr.last() == last)
}

struct Reader<'a> {
    rest: &'a [u8],
    ipv6: bool,
}

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8], ipv6: bool) -> Self {
        Self { rest, ipv6 }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.rest.split_first_chunk::<N>()?;
        self.rest = tail;
        Some(*head)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn address(&mut self) -> Option<IpAddr> {
        if self.ipv6 {
            self.take::<16>().map(|bytes| Ipv6Addr::from(bytes).into())
        } else {
            self.take::<4>().map(|bytes| Ipv4Addr::from(bytes).into())
        }
    }

    fn port(&mut self) -> Option<u16> {
        self.take::<4>()
            .map(|[a, b, ..]| u16::from_be_bytes([a, b]))
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let [number, ..] = self.take::<4>()?;
        Protocol::from_number(number)
    }

    fn frontend(&mut self) -> Option<Frontend> {
        Some(Frontend {
            protocol: self.protocol()?,
            address: Some(self.address()?),
            port: self.port()?,
        })
    }

    fn node_frontend(&mut self) -> Option<Frontend> {
        Some(Frontend {
            protocol: self.protocol()?,
            address: None,
            port: self.port()?,
        })
    }
}
