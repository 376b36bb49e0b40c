//! The writer: one owner of the log's end.
//!
//! A write or sync that fails leaves the end of the segment in a state that
//! nobody knows: what the page cache shows need not be on the disk, even if a
//! later sync succeeds. The writer then gives the segment up. Those who
//! waited get the error, nothing of theirs is seen, and the next transaction
//! begins a new segment that says where the old one ends. While there is no
//! space for that, every transaction fails, and the first one after there is
//! space again succeeds.

use std::{collections::VecDeque, io, sync::Arc};

use tokio::sync::{mpsc, oneshot};

use super::{
    Request, Shared, State,
    batch::{Answer, Batch},
    checkpoint,
    entry::{self, ENTRY_OVERHEAD, FileId},
    file::{self, FIRST_FRAME, Header, Kind, LogFile},
    frame::FrameWriter,
    index::Commit,
};
use crate::{
    Error, Revision,
    disk::{File, Lock},
};

/// How many requests are taken from the queue at once.
const REQUESTS: usize = 2048;
/// How often the writer steps back for those who are about to ask.
const STEPS_BACK: usize = 16;
/// A batch is cut where its transactions exceed this.
const BATCH_BYTES: usize = 4 << 20;
/// How many versions are forgotten between batches.
const FORGET: usize = 4096;
/// A checkpoint is also written when this many segments were begun since the last.
const SEGMENTS_MAX: usize = 64;

/// Where the log ends.
pub(super) enum Tail {
    /// In a segment that can be written.
    Open(Active),
    /// In a segment that cannot be trusted beyond `end`.
    Broken { id: FileId, end: u64 },
}

/// The segment that is being written.
pub(super) struct Active {
    pub(super) id: FileId,
    pub(super) nonce: u32,
    pub(super) handle: Arc<dyn File>,
    /// Where the next batch goes.
    pub(super) offset: u64,
    /// How long the file is.
    pub(super) len: u64,
    /// The number of the next batch.
    pub(super) batch: u32,
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    receiver: mpsc::Receiver<Request>,
    sender: mpsc::WeakSender<Request>,
    tail: Tail,
    next_file: u32,
    segment_bytes: u64,
    buffer: Vec<u8>,
    /// The log written since the last checkpoint began.
    log_bytes: u64,
    /// The segments begun since then. Older ones may stay for the history's sake, and no
    /// checkpoint makes them fewer.
    log_segments: usize,
    /// Ends when the checkpoint that is being written does.
    checkpointing: Option<oneshot::Receiver<()>>,
    /// Where to compact to with the next batch.
    due_compaction: Option<Revision>,
    /// Whether compaction has left something to forget.
    forgetting: bool,
    lock: Lock,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        receiver: mpsc::Receiver<Request>,
        sender: mpsc::WeakSender<Request>,
        tail: Tail,
        next_file: u32,
        lock: Lock,
    ) -> Self {
        let segment_bytes = shared.options.segment_bytes_min;
        let (log_bytes, log_segments) = {
            let files = &shared.state().files;
            let log_bytes = files.segments().map(|file| file.end).sum();
            (log_bytes, files.segments().count())
        };
        Self {
            shared,
            receiver,
            sender,
            tail,
            next_file,
            segment_bytes,
            buffer: Vec::new(),
            log_bytes,
            log_segments,
            checkpointing: None,
            due_compaction: None,
            forgetting: true,
            lock,
        }
    }

    /// Serves requests until there are no more, or one to close.
    pub(super) async fn run(mut self) {
        // However this ends, by a panic too, nobody must wait for more.
        let _closed = self.shared.closed.clone().drop_guard();
        let mut requests = Vec::new();
        loop {
            let taken = self.take(&mut requests).await;
            if taken == 0 && !self.forgetting {
                break self.close(None, requests).await;
            }
            let mut requests: VecDeque<_> = requests.drain(..).collect();
            while !requests.is_empty() {
                if let Some(reply) = self.serve(&mut requests).await {
                    return self.close(Some(reply), requests.into()).await;
                }
            }
            self.tidy().await;
        }
    }

    /// Waits for requests, unless there is other work.
    async fn take(&mut self, requests: &mut Vec<Request>) -> usize {
        if !self.forgetting {
            self.receiver.recv_many(requests, REQUESTS).await;
            if self.shared.disk.blocks() {
                self.gather(requests);
            }
        }
        self.take_waiting(requests);
        requests.len()
    }

    /// Steps back as long as more requests come: a batch of many costs hardly
    /// more than one of few, and the writer, which has slept, is put before
    /// those who are still preparing theirs. Where processors are idle this
    /// takes no time.
    fn gather(&mut self, requests: &mut Vec<Request>) {
        for _ in 0..STEPS_BACK {
            let before = requests.len();
            std::thread::yield_now();
            self.take_waiting(requests);
            if requests.len() == before {
                break;
            }
        }
    }

    fn take_waiting(&mut self, requests: &mut Vec<Request>) {
        while requests.len() < REQUESTS
            && let Ok(request) = self.receiver.try_recv()
        {
            requests.push(request);
        }
    }

    /// Serves the first requests; returns whom to tell if one was to close.
    async fn serve(&mut self, requests: &mut VecDeque<Request>) -> Option<oneshot::Sender<()>> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(request) = requests.pop_front() {
            bytes += match &request {
                Request::Txn { bytes, .. } => *bytes,
                Request::Compact { .. } => ENTRY_OVERHEAD,
                Request::Checkpointed(_) | Request::Close { .. } => 0,
            };
            match request {
                Request::Txn { .. } | Request::Compact { .. } => batch.push(request),
                Request::Checkpointed(outcome) => self.checkpointed(outcome).await,
                Request::Close { reply } => {
                    self.commit(batch, bytes).await;
                    return Some(reply);
                }
            }
            if bytes >= BATCH_BYTES {
                break;
            }
        }
        self.commit(batch, bytes).await;
        None
    }

    /// Makes a batch durable, lets it be seen, and answers.
    async fn commit(&mut self, requests: Vec<Request>, bytes: usize) {
        if requests.is_empty() {
            return;
        }
        if let Err(error) = self.make_room(bytes + ENTRY_OVERHEAD).await {
            return refuse(requests, &error);
        }
        let Tail::Open(active) = &mut self.tail else {
            unreachable!("room was made in an open segment");
        };
        self.buffer.clear();
        let now_ms = self.shared.clock.wall().as_millisecond();
        let (commits, compact, mut answers) = {
            let state = self.shared.state();
            let batch = Batch::new(&state.index, &self.shared.pool, active, now_ms);
            let due = self.due_compaction.take();
            batch.evaluate(requests, due, &mut self.buffer, active)
        };
        if !self.buffer.is_empty() {
            assert!(active.offset + self.buffer.len() as u64 <= active.len);
            let written = write(active, &self.buffer).await;
            if let Err(error) = written {
                let error = self.give_up(error);
                answers.iter_mut().for_each(|answer| answer.fail(&error));
            } else {
                self.log_bytes += self.buffer.len() as u64;
                self.apply(commits, compact);
            }
        }
        answers.into_iter().for_each(Answer::send);
    }

    /// Lets a durable batch be seen.
    fn apply(&mut self, commits: Vec<Commit>, compact: Option<Revision>) {
        let Tail::Open(active) = &mut self.tail else {
            unreachable!("the batch was written to an open segment");
        };
        active.offset += self.buffer.len() as u64;
        active.batch += 1;
        let now = self.shared.clock.now();
        let mut state = self.shared.state_mut();
        let State { index, files, hub } = &mut *state;
        let file = files.get_mut(active.id);
        if let Some(file) = file {
            file.end = active.offset;
            for commit in &commits {
                file.note(commit.revision, commit.location.offset);
            }
        }
        let mut events = Vec::with_capacity(commits.len());
        for commit in commits {
            for (key, put) in &commit.changes {
                if let Some(expiry) = put.as_ref().and_then(|put| put.expiry) {
                    let (key, revision) = (key.clone(), commit.revision);
                    self.shared.expiries.add(now, expiry.ttl, key, revision);
                }
            }
            events.extend(index.apply(commit));
        }
        hub.dispatch(&events);
        if let Some(at) = compact {
            index.compact(at);
            self.forgetting = true;
        }
    }

    /// Sees to it that there is an open segment with room for a batch.
    async fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        let bytes = bytes as u64;
        let (prev, prev_end) = match &self.tail {
            Tail::Open(active) if active.offset + bytes <= active.len => return Ok(()),
            Tail::Open(active) => (active.id, active.offset),
            Tail::Broken { id, end } => (*id, *end),
        };
        let id = self.new_file();
        let (base, compacted) = {
            let index = &self.shared.state().index;
            (index.revision, index.compacted)
        };
        let header = Header {
            kind: Kind::Segment,
            id,
            nonce: file::nonce(&self.shared.rng),
            prev: Some(prev),
            prev_end,
            base,
            compacted,
            initial: 0,
        };
        let needed = FIRST_FRAME + bytes;
        let wanted = self.segment_bytes.max(needed);
        let disk = &*self.shared.disk;
        let mut made = file::create(disk, header, &[], wanted).await;
        let mut len = wanted;
        if is_full(&made) && needed < wanted {
            len = needed;
            made = file::create(disk, header, &[], needed).await;
        }
        let made = made.map_err(|error| {
            write_error(disk.describe(&file::name_of(Kind::Segment, id)), error)
        })?;
        self.segment_bytes = (wanted * 2).min(self.shared.options.segment_bytes_max);
        self.begin_segment(made, len, prev, prev_end).await;
        Ok(())
    }

    /// Goes on in a new segment.
    async fn begin_segment(&mut self, file: LogFile, len: u64, prev: FileId, prev_end: u64) {
        self.tail = Tail::Open(Active {
            id: file.header.id,
            nonce: file.header.nonce,
            handle: file.handle.clone(),
            offset: file.end,
            len,
            batch: 1,
        });
        self.log_segments += 1;
        // To look for files to remove, which was put off while the end of the
        // log was not known.
        self.forgetting = true;
        let before = {
            let mut state = self.shared.state_mut();
            state.files.add(file);
            state.files.get(prev).map(LogFile::view)
        };
        // What lies beyond the end does not count; cutting it only gives the
        // space back.
        if let Some(before) = before
            && let Err(error) = before.handle.set_len(prev_end).await
        {
            let file = self.shared.disk.describe(&before.name);
            tracing::warn!(%error, file, "could not cut a finished segment");
        }
        self.bound_history();
    }

    /// Lets the next batch compact the oldest segments away if the history
    /// has become too large.
    fn bound_history(&mut self) {
        let state = self.shared.state();
        let mut bytes = 0;
        let too_old = state.files.segments().rev().find(|file| {
            bytes += file.end;
            bytes > self.shared.options.history_bytes
        });
        self.due_compaction = too_old.map(|file| file.last);
    }

    /// Gives the segment up after a failed write.
    fn give_up(&mut self, error: io::Error) -> Error {
        let Tail::Open(active) = &self.tail else {
            unreachable!("only an open segment is written");
        };
        let state = self.shared.state();
        let name = state.files.get(active.id).map(|file| file.name.clone());
        let file = self.shared.disk.describe(name.as_deref().unwrap_or(""));
        tracing::error!(%error, file, "could not write; going on in a new segment");
        let (id, end) = (active.id, active.offset);
        drop(state);
        self.tail = Tail::Broken { id, end };
        let source = Arc::new(error);
        Error::Write { file, source }
    }

    /// What is done between batches.
    async fn tidy(&mut self) {
        if self.forgetting {
            self.forgetting = !self.shared.state_mut().index.forget(FORGET);
            if !self.forgetting {
                self.remove_files().await;
            }
        }
        self.maybe_checkpoint();
    }

    fn maybe_checkpoint(&mut self) {
        let live_bytes = self.shared.state().index.size().1;
        let due = self.log_bytes >= live_bytes.max(self.shared.options.checkpoint_bytes)
            || self.log_segments > SEGMENTS_MAX;
        let segment = match &self.tail {
            Tail::Open(active) => active.id,
            Tail::Broken { .. } => return,
        };
        if !due || self.checkpointing.is_some() {
            return;
        }
        let id = self.new_file();
        let (done, checkpointing) = oneshot::channel();
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let work = async move {
            checkpoint::run(shared, sender, id, segment).await;
            // The writer may have closed and not wait any more.
            let _ = done.send(());
        };
        self.log_bytes = 0;
        self.log_segments = 0;
        match super::run(self.shared.disk.blocks(), "store-checkpoint", work) {
            Ok(()) => self.checkpointing = Some(checkpointing),
            Err(error) => tracing::warn!(%error, "could not start a checkpoint"),
        }
    }

    async fn checkpointed(&mut self, outcome: io::Result<checkpoint::Finished>) {
        self.checkpointing = None;
        match outcome {
            Ok(finished) => {
                self.shared.state_mut().files.add(finished.file);
                for places in finished.places.chunks(FORGET) {
                    let mut state = self.shared.state_mut();
                    for (key, modified, location) in places {
                        state.index.relocate(key, *modified, *location);
                    }
                }
                self.remove_files().await;
            }
            Err(error) => tracing::warn!(%error, "could not write a checkpoint"),
        }
    }

    /// Removes files that neither recovery nor history needs.
    async fn remove_files(&mut self) {
        if matches!(self.tail, Tail::Broken { .. }) {
            // After a crash recovery may find the batch that failed, and
            // follow it to what it replaced.
            return;
        }
        let unneeded: Vec<(FileId, Arc<str>)> = {
            let state = self.shared.state();
            let unneeded = state.unneeded();
            unneeded
                .map(|file| (file.header.id, file.name.clone()))
                .collect()
        };
        for (id, name) in unneeded {
            if let Err(error) = self.shared.disk.remove(&name).await
                && error.kind() != io::ErrorKind::NotFound
            {
                let file = self.shared.disk.describe(&name);
                tracing::warn!(%error, file, "could not remove a file that is not needed any more");
                continue;
            }
            self.shared.state_mut().files.remove(id);
        }
    }

    /// Ends in order: what was asked before is done or refused, and the log
    /// says that everything in it is durable.
    async fn close(mut self, reply: Option<oneshot::Sender<()>>, requests: Vec<Request>) {
        self.shared.closed.cancel();
        self.receiver.close();
        refuse(requests, &Error::Closed);
        while let Some(request) = self.receiver.recv().await {
            match request {
                Request::Checkpointed(outcome) => self.checkpointed(outcome).await,
                other => refuse(vec![other], &Error::Closed),
            }
        }
        if let Some(checkpointing) = self.checkpointing.take() {
            // An error means that it ended by a panic: it ended.
            let _ = checkpointing.await;
        }
        if let Err(error) = self.write_close().await {
            tracing::warn!(%error, "could not note the end in the log");
        }
        drop(self.lock);
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }

    async fn write_close(&mut self) -> io::Result<()> {
        let Tail::Open(active) = &mut self.tail else {
            return Ok(());
        };
        self.buffer.clear();
        let mut frames = FrameWriter::new(&mut self.buffer, active.nonce, active.batch);
        frames.add(entry::put_close);
        frames.finish();
        write(active, &self.buffer).await?;
        active
            .handle
            .set_len(active.offset + self.buffer.len() as u64)
            .await
    }

    fn new_file(&mut self) -> FileId {
        let id = FileId(self.next_file);
        self.next_file += 1;
        id
    }
}

impl State {
    /// The files that neither recovery nor history needs.
    fn unneeded(&self) -> impl Iterator<Item = &LogFile> {
        let checkpoint = self.files.checkpoint();
        let replayed_from = checkpoint.and_then(|file| file.header.prev);
        let latest = checkpoint.map(|file| file.header.id);
        let compacted = self.index.compacted;
        self.files.iter().filter(move |file| {
            let id = file.header.id;
            let is_past = match file.header.kind {
                Kind::Segment => {
                    replayed_from.is_some_and(|from| id < from) && file.last <= compacted
                }
                Kind::Checkpoint => Some(id) != latest,
            };
            is_past && self.index.references(id) == 0
        })
    }
}

async fn write(active: &Active, data: &[u8]) -> io::Result<()> {
    active.handle.write_at(active.offset, data).await?;
    active.handle.sync().await
}

fn refuse(requests: Vec<Request>, error: &Error) {
    for request in requests {
        match request {
            Request::Txn { reply, .. } => drop(reply.send(Err(error.clone()))),
            Request::Compact { reply, .. } => drop(reply.send(Err(error.clone()))),
            Request::Checkpointed(_) => {}
            Request::Close { reply } => drop(reply.send(())),
        }
    }
}

fn is_full<T>(result: &io::Result<T>) -> bool {
    result.as_ref().is_err_and(is_full_error)
}

fn is_full_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

fn write_error(file: String, error: io::Error) -> Error {
    let full = is_full_error(&error);
    let source = Arc::new(error);
    if full {
        Error::NoSpace { file, source }
    } else {
        Error::Write { file, source }
    }
}
