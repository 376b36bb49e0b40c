//! The kernel's doors: namespaces, cgroups, mounts, netlink, nftables, seccomp. The only crate with unsafe code.

pub mod caps;
pub mod cgroup;
pub mod fdpass;
pub mod loopback;
pub mod mount;
pub mod process;
pub mod seccomp;
