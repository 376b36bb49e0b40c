//! A container's log file in the format of the Container Runtime Interface:
//! `2006-01-02T15:04:05.000000000Z stdout F line`, where `P` marks a part of a
//! line that is longer than the limit, or one without an end.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use stdx::Timestamp;

/// Longest line before it is cut, as containerd's `max_container_log_line_size`.
const LINE_MAX: usize = 16 << 10;

/// Which stream a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

/// The log file and the beginnings of lines that have not ended yet.
pub(super) struct Log {
    path: Option<PathBuf>,
    file: Option<File>,
    partial: [Vec<u8>; 2],
    buffer: Vec<u8>,
    /// Whether the last write failed, which is complained of once.
    failing: bool,
}

impl Log {
    /// Opens the file, making its directory. Without a path all is dropped.
    pub(super) fn open(path: Option<PathBuf>) -> io::Result<Log> {
        let (partial, buffer) = Default::default();
        let mut log = Log {
            path,
            file: None,
            partial,
            buffer,
            failing: false,
        };
        log.reopen()?;
        Ok(log)
    }

    /// Opens the file anew; on failure the old one stays in use.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        use std::os::unix::fs::OpenOptionsExt as _;
        self.file = Some(
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o640)
                .open(path)?,
        );
        Ok(())
    }

    /// Adds what a stream produced. A full disk loses lines, not the container.
    pub(super) fn write(&mut self, stream: Stream, mut bytes: &[u8], now: Timestamp) {
        self.buffer.clear();
        let prefix = Prefix::new(stream, now);
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.add(stream, &bytes[..at], &prefix);
            self.line(stream, &prefix, b'F');
            bytes = &bytes[at + 1..];
        }
        self.add(stream, bytes, &prefix);
        self.flush();
    }

    /// The stream has ended: what remains is a line without an end.
    pub(super) fn end(&mut self, stream: Stream, now: Timestamp) {
        self.buffer.clear();
        if !self.partial[stream as usize].is_empty() {
            self.line(stream, &Prefix::new(stream, now), b'P');
        }
        self.flush();
    }

    fn add(&mut self, stream: Stream, mut bytes: &[u8], prefix: &Prefix) {
        loop {
            let room = LINE_MAX - self.partial[stream as usize].len();
            if bytes.len() <= room {
                self.partial[stream as usize].extend_from_slice(bytes);
                return;
            }
            self.partial[stream as usize].extend_from_slice(&bytes[..room]);
            self.line(stream, prefix, b'P');
            bytes = &bytes[room..];
        }
    }

    fn line(&mut self, stream: Stream, prefix: &Prefix, tag: u8) {
        self.buffer.extend_from_slice(prefix.0.as_bytes());
        self.buffer.extend_from_slice(&[tag, b' ']);
        self.buffer.append(&mut self.partial[stream as usize]);
        self.buffer.push(b'\n');
    }

    fn flush(&mut self) {
        let Some(file) = self.file.as_mut().filter(|_| !self.buffer.is_empty()) else {
            return;
        };
        let written = file.write_all(&self.buffer);
        if let Err(error) = &written
            && !self.failing
        {
            eprintln!("cannot write the log {:?}: {error}", self.path);
        }
        self.failing = written.is_err();
    }
}

/// Time and stream, shared by the lines of one reading.
struct Prefix(String);

impl Prefix {
    fn new(stream: Stream, now: Timestamp) -> Prefix {
        let name = if stream == Stream::Stdout {
            "stdout"
        } else {
            "stderr"
        };
        Prefix(format!("{now:.9} {name} "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(writes: &[&[u8]], want: &[(&str, usize)]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pods/x/0.log");
        let mut log = Log::open(Some(path.clone())).unwrap();
        let now = Timestamp::from_nanosecond(1_700_000_000_120_000_000).unwrap();
        for bytes in writes {
            log.write(Stream::Stdout, bytes, now);
        }
        log.end(Stream::Stdout, now);
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<_> = text
            .lines()
            .map(|line| {
                let rest = line
                    .strip_prefix("2023-11-14T22:13:20.120000000Z stdout ")
                    .unwrap();
                let (tag, body) = rest.split_once(' ').unwrap();
                (tag, body.len())
            })
            .collect();
        assert_eq!(lines, want);
    }

    #[test]
    fn lines_are_marked_full_or_partial() {
        check(&[b"one\ntwo\n"], &[("F", 3), ("F", 3)]);
        check(&[b"\n\n"], &[("F", 0), ("F", 0)]);
        check(&[b"on", b"e\ntw"], &[("F", 3), ("P", 2)]);
        check(&[], &[]);
        let long = vec![b'x'; LINE_MAX + 5];
        check(&[&long, b"\n"], &[("P", LINE_MAX), ("F", 5)]);
        let exact = vec![b'x'; LINE_MAX];
        check(&[&exact, b"\n"], &[("F", LINE_MAX)]);
        let longer = vec![b'x'; 2 * LINE_MAX + 1];
        check(&[&longer], &[("P", LINE_MAX), ("P", LINE_MAX), ("P", 1)]);
    }

    #[test]
    fn a_renamed_file_is_left_behind() {
        let directory = tempfile::tempdir().unwrap();
        let (path, old) = (
            directory.path().join("0.log"),
            directory.path().join("0.log.1"),
        );
        let mut log = Log::open(Some(path.clone())).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        log.write(Stream::Stderr, b"before\n", now);
        std::fs::rename(&path, &old).unwrap();
        log.write(Stream::Stderr, b"between\n", now);
        log.reopen().unwrap();
        log.write(Stream::Stderr, b"after\n", now);
        let count = |path| std::fs::read_to_string(path).unwrap().lines().count();
        assert_eq!((count(old), count(path)), (2, 1));
    }
}
