//! The kernel's doors: namespaces, cgroups, mounts, netlink, nftables, seccomp. The only crate with unsafe code.

pub mod caps;
pub mod cgroup;
pub mod cidr;
pub mod conntrack;
pub mod fdpass;
pub mod link;
pub mod loopback;
pub mod mount;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod process;
pub mod seccomp;
