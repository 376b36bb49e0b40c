//! The disk of this machine.
//!
//! Writes, syncs and changes of the directory block the calling thread: the
//! engine issues them from a thread of its own. Reads come from tasks and are
//! moved to tokio's blocking threads.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Disk, File, Lock, LockError};

const LOCK_FILE: &str = "lock";
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// A directory of this machine's file system.
#[derive(Debug)]
pub struct RealDisk {
    dir: PathBuf,
}

struct RealFile {
    file: Arc<fs::File>,
}

impl RealDisk {
    /// Uses `dir`, which is made, for its owner alone, if it does not exist.
    pub fn new(dir: impl Into<PathBuf>) -> io::Result<Self> {
        let dir = dir.into();
        if !dir.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&dir)?;
            if let Some(parent) = dir.parent().filter(|parent| parent.is_dir()) {
                fs::File::open(parent)?.sync_all()?;
            }
        }
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

#[async_trait]
impl Disk for RealDisk {
    async fn lock(&self) -> Result<Lock, LockError> {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.path(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                return Err(LockError::Held { holder });
            }
            Err(fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Box::new(file))
    }

    async fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.retain(|name| name != LOCK_FILE);
        Ok(names)
    }

    async fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn File>> {
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(name))?;
        // Written zeros rather than fallocate: overwriting blocks that are
        // merely allocated makes each fdatasync commit their conversion.
        let mut left = len;
        while left > 0 {
            let now = left.min(ZEROS.len() as u64);
            file.write_all(&ZEROS[..now as usize])?;
            left -= now;
        }
        let file = Arc::new(file);
        Ok(Arc::new(RealFile { file }))
    }

    async fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(name))?;
        let file = Arc::new(file);
        Ok(Arc::new(RealFile { file }))
    }

    async fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    async fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    async fn sync_dir(&self) -> io::Result<()> {
        fs::File::open(&self.dir)?.sync_all()
    }

    fn blocks(&self) -> bool {
        true
    }

    fn describe(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

#[async_trait]
impl File for RealFile {
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        let file = self.file.clone();
        let read = move || read_at(&file, offset, len);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => runtime.spawn_blocking(read).await?,
            Err(_) => read(),
        }
    }

    async fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    async fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    async fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    async fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

fn read_at(file: &fs::File, offset: u64, len: usize) -> io::Result<Bytes> {
    let mut data = vec![0; len];
    let mut filled = 0;
    while filled < len {
        match file.read_at(&mut data[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    data.truncate(filled);
    Ok(data.into())
}

fn holder(file: &mut fs::File) -> String {
    let mut pid = String::new();
    match file.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    }
}
