//! The vocabulary: families, hooks, verdicts, data types, set declarations.

use std::{borrow::Cow, time::Duration};

/// The name of a table, chain or set.
pub type Name = Cow<'static, str>;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ipv4 => 2,
            Self::Ipv6 => 10,
        }
    }

    pub(super) fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Inet),
            2 => Some(Self::Ipv4),
            10 => Some(Self::Ipv6),
            _ => None,
        }
    }

    /// As the `nft` program spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ip6",
        }
    }
}

/// What a base chain may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainKind {
    /// Accept, drop, refuse; sees each packet.
    Filter,
    /// Translate addresses; sees each connection's first packet.
    Nat,
}

impl ChainKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

/// Where in a packet's way a base chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// It came in; no route was chosen yet.
    Prerouting,
    /// It is for this machine.
    Input,
    /// It is for another.
    Forward,
    /// This machine made it.
    Output,
    /// It leaves.
    Postrouting,
}

impl Hook {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Input => 1,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes on to the next base chain.
    Accept,
    /// It is forgotten.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// On in that chain, then back.
    Jump(Name),
    /// On in that chain, and from there to where this one would have returned.
    Goto(Name),
}

impl Verdict {
    pub(super) fn code(&self) -> i32 {
        match self {
            Self::Drop => 0,
            Self::Accept => 1,
            Self::Jump(_) => -3,
            Self::Goto(_) => -4,
            Self::Return => -5,
        }
    }

    pub(super) fn chain(&self) -> Option<&str> {
        match self {
            Self::Jump(chain) | Self::Goto(chain) => Some(chain),
            _ => None,
        }
    }

    pub(super) fn from_code(code: i32, chain: Option<String>) -> Option<Self> {
        match (code, chain) {
            (0, _) => Some(Self::Drop),
            (1, _) => Some(Self::Accept),
            (-3, Some(chain)) => Some(Self::Jump(chain.into())),
            (-4, Some(chain)) => Some(Self::Goto(chain.into())),
            (-5, _) => Some(Self::Return),
            _ => None,
        }
    }
}

/// The type of a key or value field. The kernel only needs its length; the
/// number is what the `nft` program goes by when it prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DataType {
    number: u32,
    length: u32,
}

impl DataType {
    /// An IPv4 address.
    pub const IPV4_ADDR: Self = Self::new(7, 4);
    /// An IPv6 address.
    pub const IPV6_ADDR: Self = Self::new(8, 16);
    /// TCP, UDP, …
    pub const INET_PROTO: Self = Self::new(12, 1);
    /// A port.
    pub const INET_SERVICE: Self = Self::new(13, 2);
    /// A number in the host's byte order.
    pub const MARK: Self = Self::new(19, 4);

    const fn new(number: u32, length: u32) -> Self {
        Self { number, length }
    }

    /// Its length inside a concatenation, where fields start on words.
    pub const fn padded(self) -> u32 {
        self.length.next_multiple_of(4)
    }
}

/// The type number of a concatenation: six bits a field, the first highest.
pub(super) fn type_number(fields: &[DataType]) -> u32 {
    fields
        .iter()
        .fold(0, |sum, field| (sum << 6) | field.number)
}

/// The length of a key or value of these fields.
pub(super) fn type_length(fields: &[DataType]) -> u32 {
    match fields {
        [only] => only.length,
        _ => fields.iter().map(|field| field.padded()).sum(),
    }
}

/// The lengths of the fields before padding.
pub(super) fn field_lengths(fields: &[DataType]) -> impl Iterator<Item = u32> {
    fields.iter().map(|field| field.length)
}

/// A set or map to be made.
#[derive(Clone, Debug)]
pub struct SetSpec {
    pub(super) name: Name,
    pub(super) key: Vec<DataType>,
    pub(super) value: MapValue,
    pub(super) interval: bool,
    pub(super) dynamic: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) size: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MapValue {
    None,
    Data(Vec<DataType>),
    Verdict,
}

impl SetSpec {
    /// A set of keys of these fields.
    pub fn set(name: impl Into<Name>, key: &[DataType]) -> Self {
        Self {
            name: name.into(),
            key: key.to_vec(),
            value: MapValue::None,
            interval: false,
            dynamic: false,
            timeout: None,
            size: None,
        }
    }

    /// A map from such keys to such values.
    pub fn map(name: impl Into<Name>, key: &[DataType], value: &[DataType]) -> Self {
        Self {
            value: MapValue::Data(value.to_vec()),
            ..Self::set(name, key)
        }
    }

    /// A map from such keys to verdicts.
    pub fn verdict_map(name: impl Into<Name>, key: &[DataType]) -> Self {
        Self {
            value: MapValue::Verdict,
            ..Self::set(name, key)
        }
    }

    /// Keys may be ranges.
    #[must_use]
    pub fn intervals(mut self) -> Self {
        self.interval = true;
        self
    }

    /// Rules may add elements, up to `size`; elements end after `timeout`
    /// unless they say otherwise.
    #[must_use]
    pub fn dynamic(mut self, timeout: Duration, size: u32) -> Self {
        self.dynamic = true;
        self.timeout = Some(timeout);
        self.size = Some(size);
        self
    }

    /// The set's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}
