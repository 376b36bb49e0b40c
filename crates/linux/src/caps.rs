//! Capabilities by name, as sets, and their application to the calling thread.

use std::fmt;
use std::io;

use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};

/// Names in the order of their numbers, from CAP_CHOWN = 0.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// What container runtimes give a container that asks for nothing.
const DEFAULT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: CapSet = CapSet(0);

    /// All that this program knows.
    pub fn all() -> CapSet {
        CapSet((1 << NAMES.len()) - 1)
    }

    /// The usual set of a container.
    pub fn container_default() -> CapSet {
        let mut set = CapSet::EMPTY;
        for name in DEFAULT {
            set.0 |= bit(name).unwrap_or_default();
        }
        set
    }

    /// Those that the calling thread may ever have.
    pub fn bounding() -> CapSet {
        let mut set = CapSet::EMPTY;
        for number in 0..NAMES.len() {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if rustix::thread::capability_is_in_bounding_set(one).unwrap_or(false) {
                set.0 |= 1 << number;
            }
        }
        set
    }

    /// Adds one by name, with or without `CAP_`, or `ALL`. False when unknown.
    pub fn add(&mut self, name: &str) -> bool {
        let bits = bits(name);
        self.0 |= bits.unwrap_or_default();
        bits.is_some()
    }

    /// Removes one by name, with or without `CAP_`, or `ALL`. False when unknown.
    pub fn remove(&mut self, name: &str) -> bool {
        let bits = bits(name);
        self.0 &= !bits.unwrap_or_default();
        bits.is_some()
    }

    /// Whether the named one is in it.
    pub fn contains(self, name: &str) -> bool {
        bits(name).is_some_and(|bits| self.0 & bits == bits)
    }

    /// Those in both.
    pub fn and(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    /// As the kernel counts them.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Takes everything else out of the calling thread's bounding set.
    /// Needs CAP_SETPCAP, so it comes before [`CapSet::apply`].
    pub fn limit_bounding(self) -> io::Result<()> {
        for number in 0..64_u32 {
            let one = CapabilitySet::from_bits_retain(1 << number);
            if self.0 & (1 << number) != 0 {
                continue;
            }
            match rustix::thread::capability_is_in_bounding_set(one) {
                Ok(true) => rustix::thread::remove_capability_from_bounding_set(one)?,
                Ok(false) => {}
                // The kernel's last capability has been passed.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Makes them the calling thread's effective and permitted set, with nothing
    /// inheritable or ambient.
    pub fn apply(self) -> io::Result<()> {
        let set = CapabilitySet::from_bits_retain(self.0);
        rustix::thread::clear_ambient_capability_set()?;
        let sets = CapabilitySets {
            effective: set,
            permitted: set,
            inheritable: CapabilitySet::empty(),
        };
        Ok(rustix::thread::set_capabilities(None, sets)?)
    }
}

impl fmt::Display for CapSet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (number, name) in NAMES.iter().enumerate() {
            if self.0 & (1 << number) != 0 {
                write!(out, "{separator}CAP_{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

fn bits(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase();
    if name == "ALL" || name == "CAP_ALL" {
        return Some(CapSet::all().0);
    }
    bit(name.strip_prefix("CAP_").unwrap_or(&name))
}

fn bit(name: &str) -> Option<u64> {
    let number = NAMES.iter().position(|known| *known == name)?;
    Some(1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_made_by_name() {
        let mut set = CapSet::container_default();
        assert!(set.contains("NET_RAW") && set.contains("CAP_NET_RAW"));
        assert!(set.remove("net_raw") && !set.contains("NET_RAW"));
        assert!(set.add("SYS_ADMIN") && !set.add("FLY"));
        assert!(set.remove("ALL"));
        assert_eq!(set, CapSet::EMPTY);
        assert!(set.add("CHOWN") && set.add("CAP_BPF"));
        assert_eq!(set.to_string(), "CAP_CHOWN,CAP_BPF");
    }

    #[test]
    fn the_default_is_that_of_container_runtimes() {
        // As `CapEff` of a Docker container shows it.
        assert_eq!(CapSet::container_default().bits(), 0xa804_25fb);
    }
}
