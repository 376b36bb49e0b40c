//! The store on a disk of its own: a log of checksummed frames, and an index
//! of it in memory.
//!
//! One writer takes transactions from a queue, many at a time, appends them
//! to the log, makes them durable with one sync, and only then lets them be
//! seen: by readers, by watchers, by those who wait for their outcome.
//! Readers never wait for the disk unless they ask for the past.

mod batch;
mod checkpoint;
mod entry;
mod expiry;
mod file;
mod frame;
mod history;
mod hub;
mod index;
mod open_error;
mod options;
mod recovery;
mod retention;
mod tail;
mod watching;
mod writer;

#[cfg(test)]
mod tests;

use std::{
    future::Future,
    io,
    path::Path,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use stdx::{CancellationToken, Clock, Rng};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Outcome, Page, Range, Record, Revision, Store, Txn, Watch, WatchFrom,
    blob::Pool,
    disk::{Disk, RealDisk},
};
use file::Files;
use hub::Hub;
use index::{Found, Index};

pub use open_error::OpenError;
pub use options::Options;

/// Whether a file of this name belongs to a log.
pub(crate) fn is_log_file(name: &str) -> bool {
    file::parse_name(name).is_some()
}

/// How many transactions may wait for the writer.
const QUEUE: usize = 4096;

/// A store on a disk of its own.
pub struct Embedded {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// How large a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The revision of the last commit.
    pub revision: Revision,
    /// Where the history begins.
    pub compacted: Revision,
    /// How many keys exist.
    pub keys: usize,
    /// The bytes of their keys and values.
    pub bytes: u64,
    /// How many files there are.
    pub files: usize,
    /// The durable bytes in them.
    pub file_bytes: u64,
    /// How many watches are open.
    pub watchers: usize,
}

/// What the writer, readers and background tasks have in common.
struct Shared {
    disk: Arc<dyn Disk>,
    clock: Clock,
    rng: Rng,
    options: Options,
    state: RwLock<State>,
    expiries: expiry::Expiries,
    pool: Pool,
    /// Cancelled when nothing more will happen.
    closed: CancellationToken,
}

struct State {
    index: Index,
    files: Files,
    hub: Hub,
}

/// What the writer can be asked.
enum Request {
    Txn {
        txn: Txn,
        /// An upper bound of the bytes that it takes in the log.
        bytes: usize,
        reply: oneshot::Sender<Result<Outcome, Error>>,
    },
    Compact {
        at: Revision,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// A checkpoint ended, well or not.
    Checkpointed(Result<checkpoint::Finished, io::Error>),
    Close {
        reply: oneshot::Sender<()>,
    },
}

impl Embedded {
    /// Opens the store that lives in `dir`, or makes one. Must be called in a
    /// tokio runtime.
    pub async fn open(
        dir: &Path,
        clock: Clock,
        rng: Rng,
        options: Options,
    ) -> Result<Self, OpenError> {
        let disk = RealDisk::new(dir).map_err(|source| OpenError::Io {
            operation: "making the directory",
            file: dir.display().to_string(),
            source,
        })?;
        Self::open_on(Arc::new(disk), clock, rng, options).await
    }

    /// Opens the store that lives on a disk.
    pub async fn open_on(
        disk: Arc<dyn Disk>,
        clock: Clock,
        rng: Rng,
        options: Options,
    ) -> Result<Self, OpenError> {
        let blocks = disk.blocks();
        let lock = recovery::lock(&*disk).await?;
        let pool = Pool::new(options.sharing);
        let recovered = recovery::recover(&*disk, &clock, &rng, &options, &pool).await?;
        let expiries = expiry::Expiries::new(&recovered.index, &clock);
        let shared = Arc::new(Shared {
            disk,
            clock,
            rng,
            options,
            state: RwLock::new(State {
                index: recovered.index,
                files: recovered.files,
                hub: Hub::default(),
            }),
            expiries,
            pool,
            closed: CancellationToken::new(),
        });
        let (requests, receiver) = mpsc::channel(QUEUE);
        let sender = requests.downgrade();
        let writer = writer::Writer::new(
            shared.clone(),
            receiver,
            sender.clone(),
            recovered.tail,
            recovered.next_file,
            lock,
        );
        run(blocks, "store-writer", writer.run()).map_err(|source| OpenError::Io {
            operation: "starting the writer",
            file: shared.disk.describe(""),
            source,
        })?;
        tokio::spawn(expiry::run(shared.clone(), sender.clone()));
        tokio::spawn(retention::run(shared.clone(), sender));
        Ok(Self { shared, requests })
    }

    /// How large the store is now.
    pub fn stats(&self) -> Stats {
        let state = self.shared.state();
        let (keys, bytes) = state.index.size();
        Stats {
            revision: state.index.revision,
            compacted: state.index.compacted,
            keys,
            bytes,
            files: state.files.iter().count(),
            file_bytes: state.files.iter().map(|file| file.end).sum(),
            watchers: state.hub.len(),
        }
    }

    /// Waits until the store has ended: because it was closed, or because its
    /// writer failed beyond what it can handle.
    pub async fn ended(&self) {
        self.shared.closed.cancelled().await;
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<T, Error> {
        ask(&self.requests, request).await
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.shared.closed.is_cancelled() {
            return Err(Error::Closed);
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Embedded {
    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Record>, Error> {
        self.check_open()?;
        let (found, at) = {
            let state = self.shared.state();
            let at = state.index.readable(at)?;
            (state.index.get(key, at), at)
        };
        match found {
            Some(found) => self.shared.resolve(found, at).await.map(Some),
            None => Ok(None),
        }
    }

    async fn range(&self, range: Range) -> Result<Page, Error> {
        self.check_open()?;
        let (found, at) = {
            let state = self.shared.state();
            let at = state.index.readable(range.at)?;
            (state.index.range(&range.span, range.limit, at), at)
        };
        let mut records = Vec::with_capacity(found.records.len());
        for found in found.records {
            records.push(self.shared.resolve(found, at).await?);
        }
        Ok(Page {
            more: records.len() < found.count,
            records,
            count: found.count,
            revision: at,
        })
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        let bytes = batch::bound(&txn);
        let max = self.shared.options.txn_bytes_max;
        if bytes > max {
            return Err(Error::TooLarge { bytes, max });
        }
        crate::txn::check_keys(&txn)?;
        self.ask(|reply| Request::Txn { txn, bytes, reply }).await
    }

    async fn watch(&self, from: WatchFrom) -> Result<Watch, Error> {
        self.check_open()?;
        watching::watch(&self.shared, from)
    }

    async fn compact(&self, at: Revision) -> Result<(), Error> {
        self.ask(|reply| Request::Compact { at, reply }).await
    }

    async fn revision(&self) -> Result<Revision, Error> {
        self.check_open()?;
        Ok(self.shared.state().index.revision)
    }

    async fn compacted(&self) -> Result<Revision, Error> {
        self.check_open()?;
        Ok(self.shared.state().index.compacted)
    }

    async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.requests.send(Request::Close { reply }).await.is_ok() {
            // An error means that the writer has already ended.
            let _ = closed.await;
        }
    }
}

impl Shared {
    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn resolve(&self, found: Found, at: Revision) -> Result<Record, Error> {
        match found {
            Found::Here(record) => Ok(record),
            Found::Stored { key, location } => self.read_version(&key, location, at).await,
        }
    }
}

impl Index {
    /// The revision to read at, if it can be read.
    fn readable(&self, at: Option<Revision>) -> Result<Revision, Error> {
        match at {
            None => Ok(self.revision),
            Some(requested) if requested > self.revision => Err(Error::Future {
                requested,
                current: self.revision,
            }),
            Some(requested) if requested < self.compacted => Err(Error::Compacted {
                requested,
                compacted: self.compacted,
            }),
            Some(at) => Ok(at),
        }
    }
}

/// Sends the writer a request and waits for its answer.
async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    requests
        .send(request(reply))
        .await
        .map_err(|_| Error::Closed)?;
    answer.await.unwrap_or(Err(Error::Closed))
}

/// Runs work that may block, on a thread of its own where it does.
fn run(
    blocks: bool,
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    if blocks {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || futures::executor::block_on(work))?;
    } else {
        tokio::spawn(work);
    }
    Ok(())
}
