//! Gives a volume to the pod's group (fsGroup).
//!
//! Follows pkg/volume/volume_linux.go: the group owns and may write everything,
//! and what is made later inherits it.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::path::Path;

const FILE: u32 = 0o660;
const DIRECTORY: u32 = 0o2770;

/// Gives a whole tree to the group; with `OnRootMismatch` only if its root is not yet.
pub fn own(root: &Path, group: u32, policy: Option<&str>) -> io::Result<()> {
    if policy == Some("OnRootMismatch") && fits(root, group)? {
        return Ok(());
    }
    if fits(root, group)? && fs::read_dir(root)?.next().is_none() {
        return Ok(());
    }
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_symlink() {
                lchown(entry.path(), None, Some(group))?;
            } else {
                give(&entry.path(), group, FILE)?;
            }
        }
        give(&directory, group, DIRECTORY)?;
    }
    Ok(())
}

/// Gives only the root to the group, readable: its files have owners already.
pub fn own_top(root: &Path, group: u32) -> io::Result<()> {
    give(root, group, 0o2550)
}

fn fits(root: &Path, group: u32) -> io::Result<bool> {
    let meta = fs::metadata(root)?;
    Ok(meta.gid() == group && meta.mode() & DIRECTORY == DIRECTORY)
}

fn give(path: &Path, group: u32, bits: u32) -> io::Result<()> {
    chown(path, None, Some(group))?;
    let mode = fs::metadata(path)?.permissions().mode() | bits;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
