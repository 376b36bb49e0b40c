//! Finding, and where missing making, the place of a mount in a container's root.
//!
//! Symbolic links are followed by reading them, never by the kernel, so that the
//! magic links of `/proc` lead nowhere. The calling process already has the
//! container's root, which is where `..` ends.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2, readlinkat};
use rustix::io::Errno;

/// What a mount point has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

const LINKS_MAX: usize = 40;

/// Opens the place at an absolute path.
pub(super) fn open(path: &Path, kind: Kind) -> io::Result<OwnedFd> {
    let root = || {
        openat(
            CWD,
            "/",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let mut current = root()?;
    let mut rest: VecDeque<OsString> = parts(path);
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        let last = rest.is_empty();
        let next = step(&current, &part, if last { kind } else { Kind::Directory })?;
        let Some(target) = link_target(&next)? else {
            current = next;
            continue;
        };
        links += 1;
        if links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        if target.is_absolute() {
            current = root()?;
        }
        for part in parts(&target).into_iter().rev() {
            rest.push_front(part);
        }
    }
    Ok(current)
}

/// Opens a path below a directory of the host without leaving it, making missing
/// directories with the mode of the directory. Follows SafeMakeDir of
/// pkg/volume/util/subpath/subpath_linux.go.
pub(super) fn open_beneath(base: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let open = |path: &Path| openat2(base, path, flags, Mode::empty(), resolve);
    match open(path) {
        Err(Errno::NOENT) => {}
        result => return Ok(result?),
    }
    let mode = Mode::from_raw_mode(rustix::fs::fstat(base)?.st_mode & 0o7777);
    let mut so_far = PathBuf::new();
    for part in path.components() {
        let parent = if so_far.as_os_str().is_empty() {
            base.try_clone()?
        } else {
            open(&so_far)?
        };
        so_far.push(part);
        if matches!(open(&so_far), Err(Errno::NOENT)) {
            mkdirat(&parent, part.as_os_str(), mode)?;
        }
    }
    Ok(open(path)?)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    };
    path.components().filter_map(part).collect()
}

fn step(directory: &OwnedFd, part: &OsStr, kind: Kind) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(directory, part, flags, Mode::empty()) {
        Err(Errno::NOENT) => {}
        result => return Ok(result?),
    }
    match kind {
        Kind::Directory => match mkdirat(directory, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        },
        Kind::File => {
            let create = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(directory, part, create, Mode::from_raw_mode(0o644))?;
        }
    }
    Ok(openat(directory, part, flags, Mode::empty())?)
}

fn link_target(fd: &OwnedFd) -> io::Result<Option<PathBuf>> {
    let stat = rustix::fs::fstat(fd)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let target = readlinkat(fd, "", Vec::new())?;
    Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))))
}
