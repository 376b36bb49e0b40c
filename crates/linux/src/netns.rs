//! Network namespaces: make, pin to a path, open, enter, let go.
//!
//! A thread of the async runtime must never change its namespace, as the next
//! task on it would run in the wrong one. Whatever happens inside a namespace
//! therefore runs on a thread of its own that ends with the call; sockets made
//! there keep their namespace and may be used anywhere.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::fd::{AsFd, AsRawFd},
    panic,
    path::{Path, PathBuf},
    thread,
};

use rustix::{
    mount::{UnmountFlags, mount_bind, unmount},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

/// An open handle to a network namespace, which lives at least as long.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

/// A network namespace operation that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The namespace behind a path could not be opened.
    #[error("open network namespace {}", path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A thread for the namespace could not be started.
    #[error("start a thread for a network namespace")]
    Thread(#[source] io::Error),
    /// A new namespace was refused.
    #[error("make a network namespace")]
    Create(#[source] io::Error),
    /// Entering was refused.
    #[error("enter a network namespace")]
    Enter(#[source] io::Error),
    /// The namespace could not be bound to a path.
    #[error("pin a network namespace to {}", path.display())]
    Pin {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The path could not be freed.
    #[error("unpin the network namespace at {}", path.display())]
    Unpin {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

impl Netns {
    /// The calling thread's namespace.
    pub fn current() -> Result<Self, Error> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace behind a path: a pin, or `/proc/PID/ns/net`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::Open {
            path: path.into(),
            source,
        })?;
        Ok(Self { file })
    }

    /// A new namespace, in which not even the loopback link is up.
    pub fn create() -> Result<Self, Error> {
        on_a_thread(|| {
            // SAFETY: only the network namespace of this fresh thread is
            // unshared, not its file descriptors.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
                .map_err(|source| Error::Create(source.into()))?;
            Self::current()
        })?
    }

    /// Binds the namespace to `path`, where it outlives this process.
    /// Directories above it must be there; the file is made.
    pub fn pin(&self, path: &Path) -> Result<(), Error> {
        let error = |source| Error::Pin {
            path: path.into(),
            source,
        };
        OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(path)
            .map_err(error)?;
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        mount_bind(own, path).map_err(|source| {
            // The empty file is ours and means nothing without the mount.
            let _ = fs::remove_file(path);
            error(source.into())
        })
    }

    /// Frees a path that [`Netns::pin`] bound. A path that is not there is
    /// free already.
    pub fn unpin(path: &Path) -> Result<(), Error> {
        let error = |source| Error::Unpin {
            path: path.into(),
            source,
        };
        match unmount(path, UnmountFlags::DETACH) {
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(source) => return Err(error(source.into())),
        }
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(error(source)),
            _ => Ok(()),
        }
    }

    /// Runs `work` inside the namespace, on a thread of its own.
    ///
    /// # Panics
    /// If `work` panics, with its panic.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        on_a_thread(|| self.enter().map(|()| work()))?
    }

    /// Moves the calling thread into the namespace for good. For threads that
    /// belong to the namespace; see [`Netns::run`] for everybody else.
    pub fn enter(&self) -> Result<(), Error> {
        move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|source| Error::Enter(source.into()))
    }

    /// Whether two handles mean the same namespace.
    pub fn is_same(&self, other: &Self) -> bool {
        use std::os::unix::fs::MetadataExt;
        match (self.file.metadata(), other.file.metadata()) {
            (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
            _ => false,
        }
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Netns {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.file.as_raw_fd()
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let handle = thread::Builder::new()
            .name("netns".into())
            .spawn_scoped(scope, work)
            .map_err(Error::Thread)?;
        Ok(handle
            .join()
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> String {
        fs::read_to_string("/proc/thread-self/net/dev").unwrap()
    }

    #[test]
    fn a_new_namespace_is_another_and_only_the_work_sees_it() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return;
        }
        let before = Netns::current().unwrap();
        let fresh = Netns::create().unwrap();
        assert!(!fresh.is_same(&before));
        let inside = fresh.run(links).unwrap();
        assert!(
            inside.contains("lo:") && !inside.contains("eth0"),
            "{inside}"
        );
        assert!(Netns::current().unwrap().is_same(&before));
    }

    #[test]
    fn a_pin_holds_the_namespace_until_it_is_removed() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: network namespaces need root");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        let fresh = Netns::create().unwrap();
        fresh.pin(&path).unwrap();
        assert!(Netns::open(&path).unwrap().is_same(&fresh));
        assert!(fresh.pin(&path).is_err(), "a taken path is refused");
        Netns::unpin(&path).unwrap();
        assert!(!path.exists());
        Netns::unpin(&path).unwrap();
    }
}
