//! This node in the cluster: its registration, status and lease.

pub mod lease;
pub mod pressure;
pub mod register;
pub mod status;

use std::collections::BTreeMap;

use meta::Quantity;

use crate::config::Config;
use crate::doors::{Disk, MachineFacts};
use crate::resources::Amounts;

/// Memory that is kept free by evicting pods, upstream's default.
pub const EVICTION_MEMORY: i64 = 100 << 20;

/// What the node has and what pods may use of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What the machine has.
    pub capacity: Amounts,
    /// What pods may use.
    pub allocatable: Amounts,
}

/// Follows pkg/kubelet/nodestatus/setters.go, MachineInfo, and
/// pkg/kubelet/cm/node_container_manager_linux.go.
pub fn room(config: &Config, machine: &MachineFacts, disk: Disk) -> Room {
    let bytes = |bytes: u64| Quantity::from_bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
    let storage = i64::try_from(disk.capacity_bytes).unwrap_or(i64::MAX);
    let mut capacity = BTreeMap::from([
        (
            "cpu".to_owned(),
            Quantity::from_units(i64::from(machine.cpus)),
        ),
        ("memory".to_owned(), bytes(machine.memory_bytes)),
        (
            "pods".to_owned(),
            Quantity::from_units(i64::from(config.pods_max)),
        ),
        ("ephemeral-storage".to_owned(), bytes(disk.capacity_bytes)),
    ]);
    for (size, total) in &machine.hugepages {
        capacity.insert(format!("hugepages-{size}"), bytes(*total));
    }
    let mut allocatable = capacity.clone();
    let mut keep = |name: &str, amount: Quantity| {
        if let Some(left) = allocatable.get_mut(name) {
            *left = (*left - amount).max(Quantity::from_bytes(0));
        }
    };
    for (name, amount) in &config.reserved {
        keep(name, *amount);
    }
    keep("memory", Quantity::from_bytes(EVICTION_MEMORY));
    keep("ephemeral-storage", Quantity::from_units(storage / 10));
    for total in machine.hugepages.values() {
        keep("memory", bytes(*total));
    }
    Room {
        capacity,
        allocatable,
    }
}

/// Amounts as the API has them.
pub fn wire(amounts: &Amounts) -> BTreeMap<String, typed::Quantity> {
    let quantity = |amount: &Quantity| typed::Quantity(amount.to_string());
    amounts
        .iter()
        .map(|(name, amount)| (name.clone(), quantity(amount)))
        .collect()
}
