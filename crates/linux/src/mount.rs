//! Mounts: the table, attributes of whole trees, and letting go of what lies
//! below a directory.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;

/// A line of a mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountInfo {
    /// Which part of the file system is mounted.
    pub root: PathBuf,
    /// Where.
    pub mount_point: PathBuf,
    /// Options of the mount and of the file system, joined by commas.
    pub options: String,
    /// `shared:N`, `master:N` and so on.
    pub propagation: Vec<String>,
    /// Type of the file system.
    pub fs_type: String,
    /// What was mounted.
    pub source: String,
}

/// The mount table of this process.
pub fn table() -> io::Result<Vec<MountInfo>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect())
}

/// Reads a line of `/proc/PID/mountinfo`.
fn parse_line(line: &[u8]) -> Option<MountInfo> {
    let mut fields = line.split(|byte| *byte == b' ').skip(3);
    let root = unescape(fields.next()?);
    let mount_point = unescape(fields.next()?);
    let mut options = String::from_utf8_lossy(fields.next()?).into_owned();
    let mut propagation = Vec::new();
    loop {
        match fields.next()? {
            b"-" => break,
            field => propagation.push(String::from_utf8_lossy(field).into_owned()),
        }
    }
    let fs_type = String::from_utf8_lossy(fields.next()?).into_owned();
    let source = String::from_utf8_lossy(fields.next()?).into_owned();
    if let Some(more) = fields.next() {
        options.push(',');
        options.push_str(&String::from_utf8_lossy(more));
    }
    Some(MountInfo {
        root,
        mount_point,
        options,
        propagation,
        fs_type,
        source,
    })
}

/// The kernel writes blank, tab, newline and backslash as `\ooo`.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut at = 0;
    while at < field.len() {
        let octal = field.get(at + 1..at + 4).filter(|_| field[at] == b'\\');
        let value = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(value.unwrap_or(field[at]));
        at += if value.is_some() { 4 } else { 1 };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Unmounts everything at and below a directory, innermost first. What is in use
/// disappears now and is freed later.
pub fn unmount_below(directory: &Path) -> io::Result<()> {
    let mut points: Vec<_> = table()?
        .into_iter()
        .map(|mount| mount.mount_point)
        .filter(|point| point.starts_with(directory))
        .collect();
    points.reverse();
    for point in points {
        match rustix::mount::unmount(&point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Attributes that [`set_attributes`] changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `MOUNT_ATTR_…` bits to set.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED` or 0 to leave it.
    pub propagation: u64,
}

/// No writing.
pub const READ_ONLY: u64 = libc::MOUNT_ATTR_RDONLY;
/// No programs, no setuid, no devices.
pub const HARMLESS: u64 =
    libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
/// Mounts pass neither in nor out.
pub const PRIVATE: u64 = libc::MS_PRIVATE;
/// Mounts pass in.
pub const SLAVE: u64 = libc::MS_SLAVE;
/// Mounts pass in and out.
pub const SHARED: u64 = libc::MS_SHARED;

/// Changes a mount, given by an open descriptor, or the whole tree below it.
pub fn set_attributes(
    mount: BorrowedFd<'_>,
    attributes: Attributes,
    recursive: bool,
) -> io::Result<()> {
    let attr = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let empty = CString::default();
    // SAFETY: `attr` is a valid mount_attr of the given size, the path is a C string.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            empty.as_ptr(),
            flags,
            std::ptr::from_ref(&attr),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether a file lies on procfs.
pub fn is_proc(fd: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(fd)?.f_type == libc::PROC_SUPER_MAGIC)
}

/// A path as the kernel takes it; refuses one with a zero byte.
pub fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = br"36 35 98:0 /mnt1 /mnt\040two rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let info = parse_line(line).unwrap();
        assert_eq!(info.root, Path::new("/mnt1"));
        assert_eq!(info.mount_point, Path::new("/mnt two"));
        assert_eq!(info.options, "rw,noatime,rw,errors=continue");
        assert_eq!(info.propagation, ["master:1", "shared:2"]);
        assert_eq!(
            (info.fs_type.as_str(), info.source.as_str()),
            ("ext3", "/dev/root")
        );
        assert_eq!(parse_line(b"36 35 98:0 / /"), None);
        assert_eq!(parse_line(b""), None);
    }

    #[test]
    fn this_process_has_a_table() {
        assert!(table().unwrap().iter().any(|mount| mount.fs_type == "proc"));
    }
}
