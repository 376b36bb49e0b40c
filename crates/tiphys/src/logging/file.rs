//! The file of `--log`: appended to, and set aside when it is large, as k3s
//! does with its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// From which size on the file is set aside.
const SIZE_MAX: u64 = 50 << 20;
/// How many files that were set aside are kept.
const KEPT: u32 = 3;

/// A log on disk.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    size_max: u64,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = append(path)?;
        let size = file.metadata()?.len();
        Ok(LogFile {
            path: path.into(),
            file,
            size,
            size_max: SIZE_MAX,
        })
    }

    /// `log` becomes `log.1`, that `log.2` and so on; the last one goes.
    fn set_aside(&mut self) -> io::Result<()> {
        for number in (1..KEPT).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::fs::rename(&self.path, self.numbered(1))?;
        self.file = append(&self.path)?;
        self.size = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).open(path)
}

impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.size > 0 && self.size + line.len() as u64 > self.size_max {
            self.set_aside()?;
        }
        let written = self.file.write(line)?;
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/tiphys.log");
        let mut log = LogFile::open(&path).unwrap();
        log.size_max = 10;
        for line in ["first\n", "second\n", "third\n", "fourth\n", "fifth\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        drop(log);
        let mut log = LogFile::open(&path).unwrap();
        log.write_all(b"again\n").unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join("logs").join(name));
        assert_eq!(read("tiphys.log").unwrap(), "fifth\nagain\n");
        assert_eq!(read("tiphys.log.1").unwrap(), "fourth\n");
        assert_eq!(read("tiphys.log.3").unwrap(), "second\n");
        assert!(read("tiphys.log.4").is_err());
    }
}
