//! Address prefixes, like `10.42.0.0/16`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    /// Its first address.
    pub address: IpAddr,
    /// The length of the prefix in bits.
    pub bits: u8,
}

/// A text that is not an address prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address prefix like 10.42.0.0/16")]
pub struct InvalidCidr(String);

impl Cidr {
    /// The prefix of this length around an address; none if the address is
    /// not as long.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        (bits <= width(address)).then(|| Self {
            address: mask(address, bits),
            bits,
        })
    }

    /// Whether all of `other` lies inside.
    pub fn contains(&self, other: &Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.bits <= other.bits
            && mask(other.address, self.bits) == self.address
    }

    /// Whether an address lies inside.
    pub fn holds(&self, address: IpAddr) -> bool {
        Self::new(address, width(address)).is_some_and(|single| self.contains(&single))
    }

    /// Its last address.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let rest = u32::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
                Ipv4Addr::from(u32::from(address) | rest).into()
            }
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
                Ipv6Addr::from(u128::from(address) | rest).into()
            }
        }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let rest = u32::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & !rest).into()
        }
        IpAddr::V6(address) => {
            let rest = u128::MAX.checked_shr(u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(address) & !rest).into()
        }
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('/');
        parts
            .and_then(|(address, bits)| Self::new(address.parse().ok()?, bits.parse().ok()?))
            .ok_or_else(|| InvalidCidr(text.into()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_parse_and_nest() {
        let wide: Cidr = "10.1.2.3/8".parse().unwrap();
        let narrow: Cidr = "10.9.0.0/16".parse().unwrap();
        assert_eq!(wide.to_string(), "10.0.0.0/8");
        assert_eq!(narrow.last().to_string(), "10.9.255.255");
        assert!(wide.contains(&narrow) && !narrow.contains(&wide));
        assert!(narrow.holds("10.9.1.1".parse().unwrap()));
        assert!(!narrow.holds("fd00::1".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(&wide) && all.last().to_string() == "255.255.255.255");
        for text in ["10.0.0.0", "10.0.0.0/33", "x/8", ""] {
            assert!(text.parse::<Cidr>().is_err(), "{text}");
        }
    }
}
