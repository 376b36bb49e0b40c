//! Container logs on disk: the line form that runtimes write, reading, rotation.
//!
//! A line is `2026-11-20T17:30:00.123456789Z stdout F text`; `P` instead of `F`
//! marks a part whose rest follows. Follows the CRI log format.

mod read;
pub mod rotate;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

pub use read::{LogOptions, follow, tail_offset};

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// When it was written, as it stands there.
    pub time: &'a str,
    /// Where it came from.
    pub stream: Stream,
    /// Whether its rest follows.
    pub partial: bool,
    /// What was written, without the line end.
    pub text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Reads a line without its line end.
    pub fn parse(bytes: &'a [u8]) -> Option<Line<'a>> {
        let mut parts = bytes.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(parts.next()?).ok()?;
        let stream = match parts.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        let tags = parts.next()?;
        let partial = tags.split(|byte| *byte == b':').next() == Some(b"P");
        Some(Line {
            time,
            stream,
            partial,
            text: parts.next().unwrap_or_default(),
        })
    }
}

/// The end of a log as plain text, for messages.
pub fn tail(path: &Path, lines_max: usize, bytes_max: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = tail_offset(&mut file, lines_max)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut text = Vec::new();
    for raw in bytes.split(|byte| *byte == b'\n') {
        if let Some(line) = Line::parse(raw) {
            text.extend_from_slice(line.text);
            if !line.partial {
                text.push(b'\n');
            }
        }
    }
    let skip = text.len().saturating_sub(bytes_max);
    Ok(String::from_utf8_lossy(&text[skip..]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = Line::parse(b"2026-11-20T17:30:00.1Z stderr P some text").unwrap();
        assert_eq!(line.stream, Stream::Stderr);
        assert!(line.partial);
        assert_eq!(line.text, b"some text");
        assert_eq!(Line::parse(b"2026 stdout F").unwrap().text, b"");
        assert_eq!(Line::parse(b"rubbish"), None);
    }

    #[test]
    fn the_end_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        let lines: Vec<String> = (0..10).map(|n| format!("t stdout F line {n}\n")).collect();
        std::fs::write(&path, lines.concat()).unwrap();
        assert_eq!(tail(&path, 2, 100).unwrap(), "line 8\nline 9\n");
        assert_eq!(tail(&path, 2, 7).unwrap(), "line 9\n");
    }
}
