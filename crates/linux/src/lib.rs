//! The kernel's doors: namespaces, cgroups, mounts, netlink, nftables, seccomp. The only crate with unsafe code.
