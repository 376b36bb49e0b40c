//! What can go wrong.

use std::{io, net::IpAddr, path::PathBuf};

/// An operation on the pod network that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A network namespace could not be opened or entered.
    #[error("use the network namespace of {whose}")]
    Netns {
        /// The node, or a pod.
        whose: String,
        /// The cause.
        #[source]
        source: linux::netns::Error,
    },
    /// Links, addresses or routes could not be changed.
    #[error("set up the network of {whose}")]
    Link {
        /// The node, or a pod.
        whose: String,
        /// The cause.
        #[source]
        source: linux::link::Error,
    },
    /// The packet filter could not be changed.
    #[error("change the packet filter's table {table}")]
    Filter {
        /// The table.
        table: String,
        /// The cause.
        #[source]
        source: linux::nft::Error,
    },
    /// A kernel setting could not be changed.
    #[error("set {} to {value}", path.display())]
    Setting {
        /// Where the setting lies.
        path: PathBuf,
        /// What it should be.
        value: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The record of given addresses could not be read or written.
    #[error("{what} the address record {}", path.display())]
    Record {
        /// What was tried.
        what: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// All addresses of the node are in use.
    #[error("no address is left in the node's range {range}")]
    Full {
        /// The node's range.
        range: String,
    },
    /// A link that was just made is not there.
    #[error("link {link} vanished while it was set up")]
    Vanished {
        /// Its name.
        link: String,
    },
    /// The range is not one that pods can have addresses of.
    #[error("{range} cannot be a node's range of pod addresses: {why}")]
    Range {
        /// The range.
        range: String,
        /// Why not.
        why: &'static str,
    },
    /// The address that the node is told to use is not one of its own.
    #[error("the node address {address} is not an address of this machine")]
    NotOurs {
        /// The address.
        address: IpAddr,
    },
    /// The machine has no address that others could reach it by.
    #[error("this machine has no address but loopback")]
    NoAddress,
}
