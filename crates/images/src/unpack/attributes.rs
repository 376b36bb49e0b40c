//! Times and extended attributes of unpacked files.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::{
    fs::{AtFlags, Timespec, Timestamps, XattrFlags},
    io::Errno,
};

use crate::tarball::Time;

/// Which attributes of an archive are taken over: capabilities, access
/// control lists, and users' own. Those of overlayfs would reach into other
/// layers; labels of security modules belong to the machine.
pub(super) fn accepted(name: &[u8]) -> bool {
    name == b"security.capability"
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

/// Sets an attribute without following a link. A file system that has no
/// users' attributes loses them; capabilities are never lost quietly.
pub(super) fn set_xattr(
    parent: &OwnedFd,
    last: &[u8],
    name: &[u8],
    value: &[u8],
) -> rustix::io::Result<()> {
    // There is no lsetxattrat before Linux 6.13; the descriptor's own path in
    // /proc leads to the directory whatever happens to names above it.
    let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
    path.extend_from_slice(last);
    match rustix::fs::lsetxattr(&path[..], name, value, XattrFlags::empty()) {
        Err(Errno::NOTSUP | Errno::PERM) if name != b"security.capability" => Ok(()),
        result => result,
    }
}

/// Sets both times.
pub(super) fn set_time(parent: &OwnedFd, last: &[u8], time: Time) -> rustix::io::Result<()> {
    let time = Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanos.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(parent, last, &times, AtFlags::SYMLINK_NOFOLLOW)
}
