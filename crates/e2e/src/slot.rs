//! A place on the machine that one cluster has for itself: ports and ranges of
//! addresses. A lock on a file keeps other processes from taking it.

use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;

const SLOTS: u16 = 40;

/// The place; free again when dropped.
pub(crate) struct Slot {
    number: u16,
    _lock: File,
}

impl Slot {
    /// Takes a free one.
    pub(crate) fn take() -> Slot {
        let folder = folder().join("slots");
        std::fs::create_dir_all(&folder).expect("make the folder of slots");
        (0..SLOTS)
            .find_map(|number| {
                let lock = File::create(folder.join(number.to_string())).ok()?;
                flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
                let slot = Slot {
                    number,
                    _lock: lock,
                };
                slot.is_free().then_some(slot)
            })
            .expect("a free place on this machine")
    }

    fn is_free(&self) -> bool {
        [self.https_port(), self.kubelet_port()]
            .into_iter()
            .all(|port| TcpListener::bind(("0.0.0.0", port)).is_ok())
    }

    pub(crate) fn node(&self) -> String {
        format!("node-{}", self.number)
    }

    pub(crate) fn https_port(&self) -> u16 {
        26_000 + 10 * self.number
    }

    pub(crate) fn kubelet_port(&self) -> u16 {
        26_001 + 10 * self.number
    }

    /// A port that nobody but the cluster's tests uses.
    pub(crate) fn spare_port(&self, index: u16) -> u16 {
        assert!(index < 8, "a slot has eight spare ports");
        26_002 + 10 * self.number + index
    }

    pub(crate) fn cluster_cidr(&self) -> String {
        format!("10.{}.0.0/16", 100 + 2 * self.number)
    }

    pub(crate) fn service_cidr(&self) -> String {
        format!("10.{}.0.0/16", 101 + 2 * self.number)
    }

    pub(crate) fn service_prefix(&self) -> String {
        format!("10.{}.", 101 + 2 * self.number)
    }

    pub(crate) fn node_ports(&self) -> String {
        let first = 28_000 + 50 * self.number;
        format!("{first}-{}", first + 49)
    }
}

/// Where all clusters of all tests live.
pub(crate) fn folder() -> PathBuf {
    std::env::temp_dir().join("tiphys-e2e")
}
