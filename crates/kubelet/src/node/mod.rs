//! This node in the cluster: its registration, status and lease.

pub mod lease;
pub mod register;
pub mod status;

use std::collections::BTreeMap;

use meta::Quantity;

use crate::config::Config;
use crate::doors::{Disk, MachineFacts};
use crate::eviction::threshold::Signal;
use crate::resources::Amounts;

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
    // What evictions keep free, pods cannot have.
    let hard = config.eviction.thresholds.iter();
    for threshold in hard.filter(|threshold| threshold.grace.is_none()) {
        match threshold.signal {
            Signal::Memory => keep("memory", bytes(threshold.below.of(machine.memory_bytes))),
            Signal::NodeFs => {
                let kept = threshold.below.of(disk.capacity_bytes);
                keep("ephemeral-storage", bytes(kept));
            }
            _ => {}
        }
    }
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
