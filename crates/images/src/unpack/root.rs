//! Directories inside a layer, opened so that no name leads out of it.

use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags},
    io::Errno,
};

/// Directories inside each other, counted from the machine's root.
const DEPTH_MAX: usize = 600;

/// Links that lead to links.
const LINKS_MAX: u32 = 16;

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// A cleaned name: a directory inside the layer, and what stands in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Joined by slashes; empty for the root.
    pub parent: Vec<u8>,
    /// Never empty, `.` or `..`, and without a slash.
    pub last: Vec<u8>,
}

impl Name {
    /// Cleans a name. The root itself is none.
    pub(super) fn of(path: &[u8]) -> Result<Option<Self>, &'static str> {
        let mut parts = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err("a name with \"..\" is refused"),
                part => parts.push(part),
            }
        }
        if path.len() > 4095 {
            return Err("the name is too long");
        }
        let Some(last) = parts.pop() else {
            return Ok(None);
        };
        Ok(Some(Self {
            parent: parts.join(&b'/'),
            last: last.to_vec(),
        }))
    }

    pub(super) fn whole(&self) -> Vec<u8> {
        if self.parent.is_empty() {
            return self.last.clone();
        }
        [&self.parent[..], b"/", &self.last[..]].concat()
    }
}

/// The root of a layer that is being unpacked.
pub(super) struct Root {
    top: Arc<OwnedFd>,
    /// Unpacked layers below, topmost first.
    parents: Vec<OwnedFd>,
    /// The directory opened last: members mostly come directory by directory.
    last: Option<(Vec<u8>, Arc<OwnedFd>)>,
}

impl Root {
    pub(super) fn open(target: &Path, parents: &[PathBuf]) -> rustix::io::Result<Self> {
        let open = |path: &Path| rustix::fs::open(path, DIRECTORY, Mode::empty());
        Ok(Self {
            top: Arc::new(open(target)?),
            parents: parents
                .iter()
                .map(|path| open(path))
                .collect::<Result<_, _>>()?,
            last: None,
        })
    }

    /// The root's own descriptor.
    pub(super) fn top(&self) -> Arc<OwnedFd> {
        self.top.clone()
    }

    /// Forgets the directory opened last, because names may have changed.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// Opens a directory inside the layer, and makes what is missing of it.
    pub(super) fn parent(&mut self, path: &[u8]) -> rustix::io::Result<Arc<OwnedFd>> {
        if let Some((last, fd)) = &self.last
            && last == path
        {
            return Ok(fd.clone());
        }
        let fd = match self.existing(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => self.make(path, 0)?,
            opened => opened?,
        };
        check_depth(&fd)?;
        self.last = Some((path.to_vec(), fd.clone()));
        Ok(fd)
    }

    /// Opens a directory that is there.
    pub(super) fn existing(&self, path: &[u8]) -> rustix::io::Result<Arc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.top.clone());
        }
        open_in(self.top.as_fd(), path).map(Arc::new)
    }

    /// Makes directory after directory, each as a lower layer has it.
    fn make(&self, path: &[u8], links: u32) -> rustix::io::Result<Arc<OwnedFd>> {
        let mut current = self.top.clone();
        let mut done: Vec<u8> = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            let above = done.len();
            if !done.is_empty() {
                done.push(b'/');
            }
            done.extend_from_slice(part);
            current = match self.existing(&done) {
                Err(Errno::NOENT | Errno::NOTDIR) => {
                    match rustix::fs::readlinkat(&current, part, Vec::new()) {
                        // Its target is missing in this layer; make that.
                        Ok(target) => self.follow(&done[..above], target.as_bytes(), links)?,
                        Err(_) => {
                            self.make_one(&current, part, &done)?;
                            self.existing(&done)?
                        }
                    }
                }
                opened => opened?,
            };
        }
        Ok(current)
    }

    /// Makes the directory where a link in `directory` points.
    fn follow(
        &self,
        directory: &[u8],
        target: &[u8],
        links: u32,
    ) -> rustix::io::Result<Arc<OwnedFd>> {
        if links >= LINKS_MAX {
            return Err(Errno::LOOP);
        }
        let base = if target.starts_with(b"/") {
            &[][..]
        } else {
            directory
        };
        let mut parts: Vec<&[u8]> = Vec::new();
        let all = base
            .split(|b| *b == b'/')
            .chain(target.split(|b| *b == b'/'));
        for part in all {
            match part {
                b"" | b"." => {}
                // The root is its own parent.
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        if parts.is_empty() {
            return Ok(self.top.clone());
        }
        self.make(&parts.join(&b'/'), links + 1)
    }

    fn make_one(&self, parent: &OwnedFd, part: &[u8], whole: &[u8]) -> rustix::io::Result<()> {
        match rustix::fs::mkdirat(parent, part, Mode::from_raw_mode(0o755)) {
            // A file or a whiteout stands there; the directory goes first.
            Err(Errno::EXIST) => {
                let hidden = is_whiteout(parent.as_fd(), part)?;
                rustix::fs::unlinkat(parent, part, AtFlags::empty())?;
                rustix::fs::mkdirat(parent, part, Mode::from_raw_mode(0o755))?;
                if hidden {
                    make_opaque(parent, part)?;
                }
            }
            made => made?,
        }
        let below = self.below(whole);
        let (mode, uid, gid) = below.map_or((0o755, 0, 0), |stat| {
            (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)
        });
        let owner = Some(rustix::fs::Uid::from_raw(uid));
        let group = Some(rustix::fs::Gid::from_raw(gid));
        rustix::fs::chownat(parent, part, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
        rustix::fs::chmodat(parent, part, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    /// The directory of that name in the nearest layer below that has one.
    fn below(&self, path: &[u8]) -> Option<Stat> {
        for layer in &self.parents {
            match open_in(layer.as_fd(), path).and_then(rustix::fs::fstat) {
                Ok(stat) => return Some(stat),
                Err(Errno::NOENT) => {}
                Err(_) => return None,
            }
        }
        None
    }
}

/// Opens a directory below `root`, with absolute links and `..` in links
/// meaning `root`.
fn open_in(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..16 {
        match rustix::fs::openat2(root, path, DIRECTORY, Mode::empty(), resolve) {
            // The kernel could not rule out a race with a rename elsewhere.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// Refuses directories so deep that nobody could remove them again. Links
/// can stack names beyond what the length of one name bounds.
fn check_depth(directory: &OwnedFd) -> rustix::io::Result<()> {
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new())?;
    let depth = path.as_bytes().iter().filter(|b| **b == b'/').count();
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    Ok(())
}

/// Hides what lower layers have in a directory.
pub(super) fn make_opaque(parent: &OwnedFd, last: &[u8]) -> rustix::io::Result<()> {
    let fd = rustix::fs::openat(parent, last, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    rustix::fs::fsetxattr(fd, "trusted.overlay.opaque", b"y", XattrFlags::empty())
}

fn is_whiteout(parent: BorrowedFd<'_>, last: &[u8]) -> rustix::io::Result<bool> {
    let stat = rustix::fs::statat(parent, last, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0)
}

/// Removes a name with all below it, following nothing.
pub(crate) fn remove_all(parent: BorrowedFd<'_>, last: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(parent, last, AtFlags::empty()) {
        Err(Errno::ISDIR) => {}
        result => return result,
    }
    let fd = rustix::fs::openat(parent, last, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    for name in names {
        remove_all(fd.as_fd(), &name)?;
    }
    rustix::fs::unlinkat(parent, last, AtFlags::REMOVEDIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let name = |parent: &str, last: &str| {
            Ok(Some(Name {
                parent: parent.into(),
                last: last.into(),
            }))
        };
        assert_eq!(Name::of(b"a"), name("", "a"));
        assert_eq!(Name::of(b"./a//b/"), name("a", "b"));
        assert_eq!(Name::of(b"/etc/passwd"), name("etc", "passwd"));
        assert_eq!(Name::of(b"./"), Ok(None));
        assert_eq!(Name::of(b"/"), Ok(None));
        assert!(Name::of(b"../a").is_err());
        assert!(Name::of(b"a/../b").is_err());
        assert!(Name::of(&b"a/".repeat(3000)).is_err());
    }
}
