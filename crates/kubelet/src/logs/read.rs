//! Reading a container's log for somebody: from where, how much, on and on.
//!
//! Follows k8s.io/cri-client/pkg/logs/logs.go.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use stdx::{Clock, Timestamp};
use tokio::sync::mpsc;

use super::{Line, Stream, rotate};

const BLOCK: usize = 64 * 1024;
/// How often a followed file is looked at: a look is one read of a file at its
/// end, and a person does not notice a tenth of a second.
const LOOK: Duration = Duration::from_millis(100);

/// What of a log is wanted, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on with what is written later.
    pub follow: bool,
    /// Only this many lines from the end.
    pub tail_lines: Option<u64>,
    /// At most so many bytes.
    pub limit_bytes: Option<u64>,
    /// Only what was written since.
    pub since: Option<Timestamp>,
    /// Each line with its time.
    pub timestamps: bool,
    /// Only this stream.
    pub stream: Option<Stream>,
}

/// Where the last `lines` lines of a log begin.
pub fn tail_offset(file: &mut File, lines: usize) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(end);
    }
    let mut left = lines + 1;
    let mut at = end;
    let mut block = vec![0; BLOCK];
    // A last line without its end counts as a line.
    let mut first = true;
    while at > 0 {
        let length = at.min(BLOCK as u64);
        let piece = &mut block[..usize::try_from(length).unwrap_or(BLOCK)];
        at -= length;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(piece)?;
        if first {
            first = false;
            if piece.last() != Some(&b'\n') {
                left -= 1;
            }
        }
        for (index, byte) in piece.iter().enumerate().rev() {
            if *byte == b'\n' {
                left -= 1;
                if left == 0 {
                    return Ok(at + index as u64 + 1);
                }
            }
        }
    }
    Ok(0)
}

/// Reads a log into a channel until its end, or, following, until `ended`
/// says that nothing more will be written and all was read.
pub async fn follow(
    path: PathBuf,
    options: LogOptions,
    clock: Clock,
    mut ended: impl FnMut() -> futures::future::BoxFuture<'static, bool> + Send,
    output: mpsc::Sender<Bytes>,
) -> io::Result<()> {
    let mut reader = Reader::open(&path, &options)?;
    loop {
        // Asked before reading: what was written before the end is read below.
        let over = !options.follow || ended().await;
        while let Some(bytes) = reader.next()? {
            if bytes.is_empty() {
                // Nothing of a whole block was wanted: others may have their turn.
                tokio::task::yield_now().await;
            } else if output.send(bytes).await.is_err() {
                return Ok(());
            }
        }
        if reader.is_full() {
            return Ok(());
        }
        if options.follow && reader.was_rotated()? {
            reader.reopen()?;
            continue;
        }
        if over {
            let rest = reader.rest();
            if !rest.is_empty() {
                let _ = output.send(rest).await;
            }
            return Ok(());
        }
        tokio::select! {
            () = output.closed() => return Ok(()),
            () = clock.sleep(LOOK) => {}
        }
    }
}

struct Reader {
    path: PathBuf,
    file: File,
    options: LogOptions,
    pending: Vec<u8>,
    left: Option<u64>,
    since: Option<Since>,
    block: Vec<u8>,
    /// Whether the line before was cut, so that its rest needs no time.
    in_line: bool,
}

impl Reader {
    fn open(path: &Path, options: &LogOptions) -> io::Result<Reader> {
        let mut file = File::open(path)?;
        let start = match options.tail_lines {
            Some(lines) => {
                let lines = usize::try_from(lines).unwrap_or(usize::MAX - 1);
                tail_offset(&mut file, lines.min(usize::MAX - 1))?
            }
            None => 0,
        };
        file.seek(SeekFrom::Start(start))?;
        Ok(Reader {
            path: path.to_owned(),
            file,
            options: options.clone(),
            pending: Vec::new(),
            left: options.limit_bytes,
            since: options.since.map(Since::new),
            block: vec![0; BLOCK],
            in_line: false,
        })
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// The next piece of output, which is empty when nothing of a block is
    /// wanted; none at the end of the file.
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        while !self.is_full() {
            let length = self.file.read(&mut self.block)?;
            if length == 0 {
                return Ok(None);
            }
            self.pending.extend_from_slice(&self.block[..length]);
            let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else {
                continue;
            };
            let whole: Vec<u8> = self.pending.drain(..=end).collect();
            return Ok(Some(self.print(&whole)));
        }
        Ok(None)
    }

    /// What stands at the end without a line end.
    fn rest(&mut self) -> Bytes {
        let pending = std::mem::take(&mut self.pending);
        self.print(&pending)
    }

    fn print(&mut self, lines: &[u8]) -> Bytes {
        let mut out = BytesMut::new();
        for raw in lines.split(|byte| *byte == b'\n') {
            let Some(line) = Line::parse(raw) else {
                continue;
            };
            if self
                .options
                .stream
                .is_some_and(|stream| stream != line.stream)
            {
                continue;
            }
            if self
                .since
                .as_ref()
                .is_some_and(|since| since.is_after(line.time))
            {
                continue;
            }
            if self.options.timestamps && !self.in_line {
                out.put_slice(line.time.as_bytes());
                out.put_u8(b' ');
            }
            out.put_slice(line.text);
            if !line.partial {
                out.put_u8(b'\n');
            }
            self.in_line = line.partial;
        }
        if let Some(left) = &mut self.left {
            let length = u64::try_from(out.len()).unwrap_or(u64::MAX).min(*left);
            out.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            *left -= length;
        }
        out.freeze()
    }

    /// Whether another file has the path now. The old one is read to its end first.
    fn was_rotated(&self) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match std::fs::metadata(&self.path) {
            Ok(now) => Ok((now.dev(), now.ino()) != (own.dev(), own.ino())),
            // Renamed and not yet reopened.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        // Something may have been written between the last read and the rename.
        let mut last = Vec::new();
        self.file.read_to_end(&mut last)?;
        self.pending.extend(last);
        self.file = File::open(self.successor()?)?;
        Ok(())
    }

    /// The file that was begun after this one: when many were, for a reader
    /// that is slower than the writer, not the newest.
    fn successor(&self) -> io::Result<PathBuf> {
        let own = self.file.metadata()?;
        let mut rotated = rotate::rotated(&self.path)?;
        let place = rotated.iter().position(|path| {
            let found = std::fs::metadata(path);
            found.is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
        });
        // A file that is gone was older than those that are left.
        let next = place.map_or(0, |place| place + 1);
        Ok(match next < rotated.len() {
            true => rotated.swap_remove(next),
            false => self.path.clone(),
        })
    }
}

/// From when on lines are wanted.
struct Since {
    time: Timestamp,
    /// As our runtime writes it: such texts are in the order of their times,
    /// and a log may have a hundred million lines.
    text: String,
}

impl Since {
    fn new(time: Timestamp) -> Since {
        let text = format!("{time:.9}");
        Since { time, text }
    }

    /// Whether it comes after the time of a line. A time that is none is wanted.
    fn is_after(&self, time: &str) -> bool {
        if time.len() == self.text.len() && time.ends_with('Z') {
            return time < self.text.as_str();
        }
        let time: Option<Timestamp> = time.parse().ok();
        time.is_some_and(|time| time < self.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::io::Write;

    async fn read(text: &str, options: LogOptions) -> String {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        std::fs::write(&path, text).unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        let ended = || std::future::ready(true).boxed();
        follow(path, options, Clock::system(), ended, sender)
            .await
            .unwrap();
        let mut out = Vec::new();
        while let Some(bytes) = receiver.recv().await {
            out.extend(bytes);
        }
        String::from_utf8(out).unwrap()
    }

    const TEXT: &str = "2026-11-20T10:00:00.000000001Z stdout F one\n\
        2026-11-20T10:00:01.000000001Z stderr P tw\n\
        2026-11-20T10:00:01.000000002Z stderr F o\n\
        2026-11-20T10:00:02.000000001Z stdout F three\n";

    #[tokio::test]
    async fn options() {
        let plain = LogOptions::default();
        assert_eq!(read(TEXT, plain.clone()).await, "one\ntwo\nthree\n");
        let tail = |lines| LogOptions {
            tail_lines: Some(lines),
            ..plain.clone()
        };
        assert_eq!(read(TEXT, tail(1)).await, "three\n");
        assert_eq!(read(TEXT, tail(0)).await, "");
        assert_eq!(read(TEXT, tail(100)).await, "one\ntwo\nthree\n");
        let limited = LogOptions {
            limit_bytes: Some(6),
            ..plain.clone()
        };
        assert_eq!(read(TEXT, limited).await, "one\ntw");
        let since = LogOptions {
            since: "2026-11-20T10:00:02Z".parse().ok(),
            ..plain.clone()
        };
        assert_eq!(read(TEXT, since.clone()).await, "three\n");
        // Other runtimes write other forms of the same times.
        let foreign = "2026-11-20T10:00:01.5Z stdout F old\n\
            2026-11-20T11:00:02.5+01:00 stdout F new\n";
        assert_eq!(read(foreign, since).await, "new\n");
        let timed = LogOptions {
            timestamps: true,
            ..tail(3)
        };
        assert_eq!(
            read(TEXT, timed).await,
            "2026-11-20T10:00:01.000000001Z two\n2026-11-20T10:00:02.000000001Z three\n"
        );
        let one = LogOptions {
            stream: Some(Stream::Stderr),
            ..plain
        };
        assert_eq!(read(TEXT, one).await, "two\n");
    }

    #[tokio::test]
    async fn a_slow_reader_misses_no_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        std::fs::write(&path, "t stdout F one\n").unwrap();
        let mut reader = Reader::open(&path, &LogOptions::default()).unwrap();
        std::fs::rename(&path, temp.path().join("0.log.1")).unwrap();
        std::fs::write(temp.path().join("0.log.2"), "t stdout F two\n").unwrap();
        std::fs::write(&path, "t stdout F three\n").unwrap();
        let mut said = Vec::new();
        loop {
            while let Some(bytes) = reader.next().unwrap() {
                said.extend(bytes);
            }
            if !reader.was_rotated().unwrap() {
                break;
            }
            reader.reopen().unwrap();
        }
        assert_eq!(said, b"one\ntwo\nthree\n");
    }

    #[tokio::test]
    async fn following_passes_a_rotation() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("0.log");
        std::fs::write(&path, "t stdout F one\n").unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        let options = LogOptions {
            follow: true,
            ..LogOptions::default()
        };
        let ended = || std::future::ready(false).boxed();
        let reading = tokio::spawn(follow(
            path.clone(),
            options,
            Clock::system(),
            ended,
            sender,
        ));
        assert_eq!(receiver.recv().await.unwrap(), "one\n");
        std::fs::rename(&path, temp.path().join("0.log.old")).unwrap();
        let mut file = File::create(&path).unwrap();
        file.write_all(b"t stdout F two\n").unwrap();
        assert_eq!(receiver.recv().await.unwrap(), "two\n");
        drop(receiver);
        reading.await.unwrap().unwrap();
    }
}
