//! From a container to here, taken up again where it broke off when that is wanted.

use super::Copy;
use super::place::Place;
use super::unpack::Unpacking;
use crate::error::{Error, Result, said};
use crate::io;
use crate::streaming::remote::Ends;
use crate::streaming::standard;
use std::io::{PipeReader, Read};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

pub(super) async fn download(copy: &Copy<'_>, from: &Place, to: &Place) -> Result {
    let (ask, mut asked) = mpsc::channel(1);
    let (give, given) = mpsc::channel(1);
    let feed = Feed {
        current: None,
        read: 0,
        retries: 0,
        retries_max: copy.args.retries,
        ask,
        given,
    };
    let unpacking = Unpacking {
        from: from.path.clone(),
        to: to.path.clone(),
        namespace: from.namespace.clone(),
        pod: from.pod.clone(),
    };
    let mut unpacked = tokio::task::spawn_blocking(move || {
        let mut feed = feed;
        let outcome = unpacking.unpack(&mut feed);
        // What follows the archive is taken, too: `tar` fills up its last block.
        feed.drain();
        outcome
    });
    loop {
        let offset = tokio::select! {
            offset = asked.recv() => offset,
            outcome = &mut unpacked => return of_thread(outcome),
        };
        let Some(offset) = offset else {
            return of_thread(unpacked.await);
        };
        let (reader, writer) = std::io::pipe()
            .or_else(|error| said(format!("make a pipe for the archive: {error}")))?;
        // Whoever unpacks waits for it, or has ended and is looked after in the next round.
        let _ = give.send(reader).await;
        let stdout = writer
            .try_clone()
            .and_then(|writer| pipe::Sender::from_owned_fd(writer.into()));
        let stdout =
            stdout.or_else(|error| said(format!("write the pipe of the archive: {error}")))?;
        fetch(copy, &from.path, offset, stdout).await?;
        // Only what was sent without an error has an end.
        drop(writer);
    }
}

fn of_thread(outcome: std::result::Result<Result, tokio::task::JoinError>) -> Result {
    outcome.unwrap_or_else(|error| said(format!("unpack the archive: {error}")))
}

/// Has the archive sent, from an offset on.
async fn fetch(copy: &Copy<'_>, path: &str, offset: u64, stdout: pipe::Sender) -> Result {
    let command = match copy.args.retries {
        0 => ["tar", "cf", "-", path].map(str::to_string),
        _ => {
            let quoted = path.replace('\'', "'\\''");
            let script = format!("tar cf - '{quoted}' | tail -c+{offset}");
            ["sh", "-c", &script, "sh"].map(str::to_string)
        }
    };
    let ends = Ends {
        stdout: Some(Box::new(stdout)),
        stderr: Some(standard::output()),
        ..Ends::default()
    };
    match copy.execute(&command, ends).await {
        // The archive was refused, which the other side tells.
        Err(Error::Exit(_)) => Ok(()),
        outcome => outcome,
    }
}

/// The archive as it comes, piece by piece.
struct Feed {
    current: Option<PipeReader>,
    read: u64,
    retries: i64,
    retries_max: i64,
    ask: mpsc::Sender<u64>,
    given: mpsc::Receiver<PipeReader>,
}

impl Feed {
    fn ask(&mut self, offset: u64) -> std::io::Result<()> {
        let gone = || std::io::Error::other("the copy was given up");
        self.ask.blocking_send(offset).map_err(|_| gone())?;
        self.current = Some(self.given.blocking_recv().ok_or_else(gone)?);
        Ok(())
    }

    /// Whether there is another attempt for what is missing.
    fn resumes(&mut self) -> std::io::Result<bool> {
        if self.retries_max >= 0 && self.retries >= self.retries_max {
            io::line(format!("Dropping out copy after {} retries", self.retries));
            return Ok(false);
        }
        self.retries += 1;
        io::line(format!(
            "Resuming copy at {} bytes, retry {}/{}",
            self.read, self.retries, self.retries_max
        ));
        self.ask(self.read + 1)?;
        Ok(true)
    }

    fn drain(&mut self) {
        if let Some(current) = &mut self.current {
            // What cannot be read is not needed.
            let _ = std::io::copy(current, &mut std::io::sink());
        }
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if self.current.is_none() {
                self.ask(0)?;
            }
            let length = match &mut self.current {
                Some(current) => current.read(buffer)?,
                None => 0,
            };
            self.read += u64::try_from(length).unwrap_or(0);
            if length > 0 || buffer.is_empty() || !self.resumes()? {
                return Ok(length);
            }
        }
    }
}
