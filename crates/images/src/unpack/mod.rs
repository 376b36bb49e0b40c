//! Unpacks one layer into a directory that overlayfs takes as a lower one.
//!
//! The archive is hostile until proven otherwise. Each name is resolved by
//! the kernel inside the layer's own root (`openat2` with
//! `RESOLVE_IN_ROOT`), so that neither `..` nor a symbolic link planted by an
//! earlier member leads out of it, and the last part of a name is never
//! followed. Whiteouts become what overlayfs knows: `.wh.name` a character
//! device 0/0, `.wh..wh..opq` the attribute `trusted.overlay.opaque`.
//!
//! A layer may name a file in a directory that only a lower layer has. That
//! directory then takes owner and permissions from there, as it would if the
//! layer were unpacked on top: hence the parents. What follows is containerd,
//! pkg/archive/tar.go.

mod attributes;
mod root;

use std::{
    collections::HashMap,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};

use crate::tarball::{self, Entry, Kind, Reader, Skip, Time};
use attributes::{accepted, set_time, set_xattr};
pub(crate) use root::remove_all;
use root::{Name, Root};

/// Bounds of one layer.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes_max: u64,
    /// Members.
    pub entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 30,
            entries_max: 4_000_000,
        }
    }
}

/// What a layer came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files and directories.
    pub entries: u64,
}

/// Why a layer cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream is no good archive.
    #[error(transparent)]
    Tar(#[from] tarball::Error),
    /// A name leads out of the layer, or nowhere.
    #[error("member {path:?}: {why}")]
    Name {
        /// The name.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The file system refused.
    #[error("member {path:?}: cannot {operation}")]
    Io {
        /// The member.
        path: String,
        /// What was tried.
        operation: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// More bytes than allowed.
    #[error("the layer unpacks to more than {0} bytes")]
    Bytes(u64),
    /// More members than allowed.
    #[error("the layer has more than {0} members")]
    Entries(u64),
}

/// Unpacks `stream` into `target`, an empty directory. `parents` are the
/// unpacked layers below, topmost first.
pub fn unpack(
    stream: impl Skip,
    target: &std::path::Path,
    parents: &[PathBuf],
    limits: Limits,
) -> Result<Unpacked, Error> {
    let root = Root::open(target, parents).map_err(failed("/", "open the layer's directory"))?;
    let mut unpacker = Unpacker {
        reader: Reader::new(stream),
        root,
        limits,
        done: Unpacked::default(),
        times: HashMap::new(),
        buffer: vec![0; 128 * 1024],
    };
    while let Some(entry) = unpacker.reader.next()? {
        unpacker.entry(&entry)?;
    }
    unpacker.directory_times()?;
    Ok(unpacker.done)
}

struct Unpacker<R> {
    reader: Reader<R>,
    root: Root,
    limits: Limits,
    done: Unpacked,
    /// Directories' times, set when nothing changes them any more.
    times: HashMap<Vec<u8>, Time>,
    buffer: Vec<u8>,
}

impl<R: Skip> Unpacker<R> {
    fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        self.done.entries += 1;
        if self.done.entries > self.limits.entries_max {
            return Err(Error::Entries(self.limits.entries_max));
        }
        if self.done.bytes.saturating_add(entry.size) > self.limits.bytes_max {
            return Err(Error::Bytes(self.limits.bytes_max));
        }
        let Some(name) = Name::of(&entry.path).map_err(bad(&entry.path))? else {
            return self.top(entry);
        };
        let parent = self
            .root
            .parent(&name.parent)
            .map_err(failed(&entry.path, "make its directory"))?;
        match name.last.strip_prefix(b".wh.") {
            Some(hidden) => self.whiteout(entry, &parent, hidden),
            None => self.member(entry, &parent, &name),
        }
    }

    /// The layer's own root.
    fn top(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.kind != Kind::Directory {
            return Err(bad(&entry.path)("only a directory can be the root"));
        }
        let parent = self.root.top();
        self.dress(entry, &parent, b".")?;
        self.times.insert(Vec::new(), entry.mtime);
        Ok(())
    }

    fn member(&mut self, entry: &Entry, parent: &OwnedFd, name: &Name) -> Result<(), Error> {
        let last = &name.last[..];
        let there = self.make_room(entry, parent, last)?;
        match entry.kind {
            Kind::Directory => self.directory(entry, parent, name, there)?,
            Kind::File => self.file(entry, parent, last)?,
            Kind::Hardlink => return self.hardlink(entry, parent, last),
            Kind::Symlink => {
                self.root.forget();
                rustix::fs::symlinkat(&entry.link[..], parent, last)
                    .map_err(failed(&entry.path, "make the symbolic link"))?;
            }
            Kind::Char | Kind::Block | Kind::Fifo => self.node(entry, parent, last)?,
        }
        self.dress(entry, parent, last)
    }

    /// Removes what stands where the member goes, unless both are
    /// directories. Says what is, or was, there.
    fn make_room(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        last: &[u8],
    ) -> Result<Option<Standing>, Error> {
        let Some(there) =
            Standing::at(parent, last).map_err(failed(&entry.path, "look at its place"))?
        else {
            return Ok(None);
        };
        if there == Standing::Directory && entry.kind == Kind::Directory {
            return Ok(Some(there));
        }
        self.root.forget();
        root::remove_all(parent.as_fd(), last)
            .map_err(failed(&entry.path, "replace what was there"))?;
        Ok(Some(there))
    }

    fn directory(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &Name,
        there: Option<Standing>,
    ) -> Result<(), Error> {
        if there != Some(Standing::Directory) {
            rustix::fs::mkdirat(parent, &name.last[..], Mode::from_raw_mode(0o755))
                .map_err(failed(&entry.path, "make the directory"))?;
        }
        if there == Some(Standing::Whiteout) {
            // The layer hid the lower directory before it made its own.
            root::make_opaque(parent, &name.last)
                .map_err(failed(&entry.path, "make the directory opaque"))?;
        }
        self.times.insert(name.whole(), entry.mtime);
        Ok(())
    }

    fn file(&mut self, entry: &Entry, parent: &OwnedFd, last: &[u8]) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(
            parent,
            last,
            flags | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )
        .map_err(failed(&entry.path, "create the file"))?;
        loop {
            let count = match self.reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(&entry.path, "read the content")(error)),
            };
            write_all(&file, &self.buffer[..count])
                .map_err(failed(&entry.path, "write the content"))?;
        }
        self.done.bytes += entry.size;
        Ok(())
    }

    fn hardlink(&mut self, entry: &Entry, parent: &OwnedFd, last: &[u8]) -> Result<(), Error> {
        let target = Name::of(&entry.link)
            .map_err(bad(&entry.path))?
            .ok_or_else(|| bad(&entry.path)("a hard link to the root"))?;
        let from = self
            .root
            .existing(&target.parent)
            .map_err(failed(&entry.path, "find the hard link's target"))?;
        rustix::fs::linkat(&from, &target.last[..], parent, last, AtFlags::empty())
            .map_err(failed(&entry.path, "make the hard link"))
    }

    fn node(&mut self, entry: &Entry, parent: &OwnedFd, last: &[u8]) -> Result<(), Error> {
        let kind = match entry.kind {
            Kind::Char => FileType::CharacterDevice,
            Kind::Block => FileType::BlockDevice,
            _ => FileType::Fifo,
        };
        let device = rustix::fs::makedev(entry.device.0, entry.device.1);
        if kind == FileType::CharacterDevice && device == 0 {
            return Err(bad(&entry.path)("a character device 0/0 is no device"));
        }
        rustix::fs::mknodat(parent, last, kind, Mode::from_raw_mode(0o600), device)
            .map_err(failed(&entry.path, "make the device"))
    }

    fn whiteout(&mut self, entry: &Entry, parent: &OwnedFd, hidden: &[u8]) -> Result<(), Error> {
        if hidden == b".wh..opq" {
            return root::make_opaque(parent, b".")
                .map_err(failed(&entry.path, "make the directory opaque"));
        }
        if hidden.starts_with(b".wh.") {
            // Aufs kept books of its own in the layers; they mean nothing here.
            return Ok(());
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(bad(&entry.path)("a whiteout of nothing"));
        }
        match Standing::at(parent, hidden).map_err(failed(&entry.path, "look at its place"))? {
            None => rustix::fs::mknodat(
                parent,
                hidden,
                FileType::CharacterDevice,
                Mode::empty(),
                rustix::fs::makedev(0, 0),
            )
            .map_err(failed(&entry.path, "make the whiteout")),
            // What the same layer holds stays; only what lies below is hidden.
            Some(Standing::Directory) => root::make_opaque(parent, hidden)
                .map_err(failed(&entry.path, "make the directory opaque")),
            Some(_) => Ok(()),
        }
    }

    /// Owner, permissions, attributes and time, in the order in which none
    /// undoes another.
    fn dress(&self, entry: &Entry, parent: &OwnedFd, last: &[u8]) -> Result<(), Error> {
        let owner = Some(rustix::fs::Uid::from_raw(entry.uid));
        let group = Some(rustix::fs::Gid::from_raw(entry.gid));
        rustix::fs::chownat(parent, last, owner, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(failed(&entry.path, "set the owner"))?;
        if entry.kind != Kind::Symlink {
            let mode = Mode::from_raw_mode(entry.mode);
            rustix::fs::chmodat(parent, last, mode, AtFlags::empty())
                .map_err(failed(&entry.path, "set the permissions"))?;
        }
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| accepted(name)) {
            set_xattr(parent, last, name, value)
                .map_err(failed(&entry.path, "set an extended attribute"))?;
        }
        if entry.kind == Kind::Directory {
            return Ok(());
        }
        set_time(parent, last, entry.mtime).map_err(failed(&entry.path, "set the time"))
    }

    fn directory_times(&mut self) -> Result<(), Error> {
        for (path, time) in std::mem::take(&mut self.times) {
            // What became of it later (a file, a link) has its own time.
            let Some(name) = Name::of(&path).map_err(bad(&path))? else {
                set_time(&self.root.top(), b".", time).map_err(failed(&path, "set the time"))?;
                continue;
            };
            let Ok(parent) = self.root.existing(&name.parent) else {
                continue;
            };
            if let Ok(Some(Standing::Directory)) = Standing::at(&parent, &name.last) {
                set_time(&parent, &name.last, time).map_err(failed(&path, "set the time"))?;
            }
        }
        Ok(())
    }
}

/// What stands at a name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Directory,
    Whiteout,
    Other,
}

impl Standing {
    fn at(parent: &OwnedFd, last: &[u8]) -> rustix::io::Result<Option<Self>> {
        match rustix::fs::statat(parent, last, AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
            Ok(stat) => Ok(Some(match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => Self::Directory,
                FileType::CharacterDevice if stat.st_rdev == 0 => Self::Whiteout,
                _ => Self::Other,
            })),
        }
    }
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn bad(path: &[u8]) -> impl Fn(&'static str) -> Error {
    let path = lossy(path);
    move |why| Error::Name {
        path: path.clone(),
        why,
    }
}

fn failed<E: Into<io::Error>>(
    path: impl AsRef<[u8]>,
    operation: &'static str,
) -> impl FnOnce(E) -> Error {
    move |source| Error::Io {
        path: lossy(path.as_ref()),
        operation,
        source: source.into(),
    }
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
mod tests;
