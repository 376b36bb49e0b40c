//! The store on an etcd v3 cluster, for high availability.
//!
//! Revisions are etcd's own. Records that expire have leases. Ranges are read
//! in pages at one revision, so that no answer becomes large.

mod compactor;
mod connection;
mod lease;
mod messages;
mod watching;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use stdx::{CancellationToken, Clock};
use tonic::{Code, Status};

use crate::{
    Conflict, Error, Guard, Op, Outcome, Page, Range, Record, Revision, Sharing, Span, Store, Txn,
    Watch, WatchFrom, blob::Pool,
};
use connection::{Connection, backend};
use lease::Leases;
use messages::{
    CompactionRequest, Compare, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse, compare,
    request_op::Request,
};

pub use connection::{ConnectError, Endpoints};

/// How many records are read at once.
const PAGE: usize = 500;

/// How the cluster is used.
#[derive(Clone, Debug)]
pub struct EtcdOptions {
    /// How often the cluster is compacted, to what was current an interval
    /// before; none leaves it to others.
    pub compaction_interval: Option<Duration>,
    /// What values have in common and memory keeps once; nothing if none.
    pub sharing: Option<Sharing>,
}

/// A store on an etcd cluster.
pub struct Etcd {
    connection: Connection,
    clock: Clock,
    leases: Leases,
    tells_progress: bool,
    pool: Arc<Pool>,
    closed: CancellationToken,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        let compaction_interval = Some(Duration::from_secs(300));
        Self {
            compaction_interval,
            sharing: None,
        }
    }
}

impl Etcd {
    /// Connects to a cluster. Must be called in a tokio runtime.
    pub async fn connect(
        endpoints: &Endpoints,
        clock: Clock,
        options: EtcdOptions,
    ) -> Result<Self, ConnectError> {
        let connection = Connection::new(endpoints, clock.clone()).await?;
        let status = connection.status().await;
        let status = status.map_err(|source| ConnectError::Unreachable {
            urls: endpoints.urls.join(","),
            source: Box::new(source),
        })?;
        let closed = CancellationToken::new();
        if let Some(interval) = options.compaction_interval {
            let compactor = compactor::run(connection.clone(), clock.clone(), interval);
            let closed = closed.clone();
            tokio::spawn(async move { closed.run_until_cancelled(compactor).await });
        }
        Ok(Self {
            connection,
            clock,
            leases: Leases::default(),
            tells_progress: tells_progress(&status.version),
            pool: Arc::new(Pool::new(options.sharing)),
            closed,
        })
    }

    /// Whether watches tell their progress when they are asked to.
    pub fn tells_progress(&self) -> bool {
        self.tells_progress
    }

    fn check_open(&self) -> Result<(), Error> {
        if self.closed.is_cancelled() {
            return Err(Error::Closed);
        }
        Ok(())
    }

    async fn read(&self, request: RangeRequest) -> Result<RangeResponse, Error> {
        self.check_open()?;
        let asked = Revision(request.revision.unsigned_abs());
        match self.connection.range(request).await {
            Ok(response) => Ok(response),
            Err(status) => Err(self.read_error("reading", asked, status).await),
        }
    }

    /// Tells the errors apart that are about the revision asked for.
    async fn read_error(
        &self,
        operation: &'static str,
        requested: Revision,
        status: Status,
    ) -> Error {
        let is_about = |what| status.code() == Code::OutOfRange && status.message().contains(what);
        if is_about("has been compacted") {
            // Asked anew, as etcd does not say; if that fails, the revision
            // asked for is the best that is known.
            let compacted = self.compacted().await.unwrap_or(requested.next());
            return Error::Compacted {
                requested,
                compacted,
            };
        }
        if is_about("is a future revision") {
            let current = self.revision().await.unwrap_or_default();
            return Error::Future { requested, current };
        }
        backend(operation, status)
    }

    /// The request that a transaction is.
    async fn txn_request(&self, txn: &Txn) -> Result<TxnRequest, Error> {
        let mut success = Vec::with_capacity(txn.ops.len());
        for op in &txn.ops {
            let request = match op {
                Op::Delete { key } => Request::DeleteRange(DeleteRangeRequest { key: key.clone() }),
                Op::Put { key, value, ttl } => Request::Put(PutRequest {
                    key: key.clone(),
                    value: value.clone(),
                    lease: match ttl {
                        Some(ttl) => {
                            let leases = &self.leases;
                            leases.get(&self.connection, &self.clock, *ttl).await?
                        }
                        None => 0,
                    },
                }),
            };
            success.push(op_of(request));
        }
        let read = |guard: &Guard| {
            op_of(Request::Range(RangeRequest {
                key: guard.key().clone(),
                ..RangeRequest::default()
            }))
        };
        Ok(TxnRequest {
            compare: txn.guards.iter().map(condition).collect(),
            success,
            failure: txn.guards.iter().map(read).collect(),
        })
    }
}

#[async_trait]
impl Store for Etcd {
    async fn get(&self, key: &[u8], at: Option<Revision>) -> Result<Option<Record>, Error> {
        if at == Some(Revision::ZERO) {
            return Ok(None);
        }
        let request = RangeRequest {
            key: Bytes::copy_from_slice(key),
            revision: at.map_or(0, to_i64),
            ..RangeRequest::default()
        };
        let response = self.read(request).await?;
        Ok(response.kvs.into_iter().next().map(record))
    }

    async fn range(&self, range: Range) -> Result<Page, Error> {
        let Range {
            mut span,
            limit,
            at,
        } = range;
        let limit = limit.unwrap_or(usize::MAX);
        let mut page = Page {
            records: Vec::new(),
            more: false,
            count: 0,
            revision: at.unwrap_or(self.revision().await?),
        };
        if span.is_empty() || at == Some(Revision::ZERO) {
            return Ok(page);
        }
        let mut first = true;
        loop {
            let wanted = limit - page.records.len();
            let request = RangeRequest {
                key: start(&span),
                range_end: range_end(&span),
                limit: wanted.clamp(1, PAGE) as i64,
                revision: to_i64(page.revision),
                count_only: wanted == 0,
            };
            let response = self.read(request).await?;
            if first {
                page.count = usize::try_from(response.count).unwrap_or(0);
                first = false;
            }
            let found = response.kvs.into_iter().map(|kv| kept(kv, &self.pool));
            page.records.extend(found);
            page.more = page.records.len() < page.count;
            match page.records.last() {
                Some(last) if response.more && page.records.len() < limit => {
                    span = span.after(&last.key);
                }
                _ => return Ok(page),
            }
        }
    }

    async fn txn(&self, txn: Txn) -> Result<Outcome, Error> {
        self.check_open()?;
        crate::txn::check_keys(&txn)?;
        let bytes = txn.bytes();
        let request = self.txn_request(&txn).await?;
        let response = self.connection.txn(request).await;
        match response {
            Ok(response) => Ok(outcome(&txn, response)),
            Err(status) if status.message().contains("request is too large") => {
                // etcd's default, which it does not tell.
                let max = 3 << 19;
                Err(Error::TooLarge { bytes, max })
            }
            Err(status) => Err(backend("committing", status)),
        }
    }

    async fn watch(&self, from: WatchFrom) -> Result<Watch, Error> {
        self.check_open()?;
        let closed = self.closed.clone();
        let pool = self.pool.clone();
        watching::watch(&self.connection, from, self.tells_progress, pool, closed).await
    }

    async fn compact(&self, at: Revision) -> Result<(), Error> {
        self.check_open()?;
        let revision = to_i64(at);
        match self
            .connection
            .compact(CompactionRequest { revision })
            .await
        {
            Ok(_) => Ok(()),
            Err(status) => Err(self.read_error("compacting", at, status).await),
        }
    }

    async fn revision(&self) -> Result<Revision, Error> {
        let request = RangeRequest {
            key: Bytes::from_static(b"\0"),
            count_only: true,
            ..RangeRequest::default()
        };
        let response = self.read(request).await?;
        Ok(revision(response.header.as_ref()))
    }

    /// etcd does not tell, so this finds out by trying: a reading at each
    /// halving of what is possible.
    async fn compacted(&self) -> Result<Revision, Error> {
        self.check_open()?;
        let (mut low, mut high) = (0, self.revision().await?.0);
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            let request = RangeRequest {
                key: Bytes::from_static(b"\0"),
                revision: to_i64(Revision(middle)),
                count_only: true,
                ..RangeRequest::default()
            };
            match self.connection.range(request).await {
                Ok(_) => high = middle,
                Err(status) if status.code() == Code::OutOfRange => low = middle,
                Err(status) => return Err(backend("reading", status)),
            }
        }
        // One is before the first commit: then nothing was ever compacted.
        Ok(Revision(if high <= 1 { 0 } else { high }))
    }

    async fn close(&self) {
        self.closed.cancel();
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

fn op_of(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn condition(guard: &Guard) -> Compare {
    let modified = match guard {
        Guard::Absent { .. } => 0,
        Guard::Unchanged { modified, .. } => to_i64(*modified),
    };
    Compare {
        target: compare::MOD,
        key: guard.key().clone(),
        union: Some(compare::Union::ModRevision(modified)),
    }
}

fn outcome(txn: &Txn, response: TxnResponse) -> Outcome {
    let revision = revision(response.header.as_ref());
    if response.succeeded {
        return Outcome::Committed(revision);
    }
    let found = response.responses.into_iter().map(|response| {
        let kv = response
            .range
            .and_then(|range| range.kvs.into_iter().next());
        kv.map(record)
    });
    let current = txn
        .guards
        .iter()
        .zip(found)
        .filter(|(guard, record)| !guard.holds(record.as_ref().map(|record| record.modified)))
        .map(|(guard, record)| (guard.key().clone(), record))
        .collect();
    Outcome::Conflict(Conflict { revision, current })
}

/// Where etcd starts a span: it takes no empty key, and no key is before this
/// one.
fn start(span: &Span) -> Bytes {
    if span.start.is_empty() {
        return Bytes::from_static(b"\0");
    }
    span.start.clone()
}

/// Where etcd ends a span: a zero byte stands for the end of the keyspace.
fn range_end(span: &Span) -> Bytes {
    span.end.clone().unwrap_or(Bytes::from_static(b"\0"))
}

/// A record that is read and let go.
fn record(kv: KeyValue) -> Record {
    kept(kv, &Pool::new(None))
}

/// A record that may stay in memory, as those of lists and watches do.
fn kept(kv: KeyValue, pool: &Pool) -> Record {
    Record {
        // Keys and values are slices of the whole answer, which they must not
        // keep in memory.
        key: Bytes::copy_from_slice(&kv.key),
        value: pool.keep(&kv.value),
        created: Revision(kv.create_revision.unsigned_abs()),
        modified: Revision(kv.mod_revision.unsigned_abs()),
        version: kv.version.unsigned_abs(),
    }
}

fn revision(header: Option<&ResponseHeader>) -> Revision {
    Revision(header.map_or(0, |header| header.revision.unsigned_abs()))
}

fn to_i64(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Whether a version answers progress requests in order. Follows
/// storage/feature/feature_support_checker.go of k8s.io/apiserver.
fn tells_progress(version: &str) -> bool {
    let mut numbers = version
        .split(['.', '-', '+'])
        .map(|number| number.parse::<u32>().ok());
    let mut next = || numbers.next().flatten();
    match (next(), next(), next()) {
        (Some(3), Some(4), Some(patch)) => patch >= 31,
        (Some(3), Some(5), Some(patch)) => patch >= 13,
        (Some(major), Some(minor), Some(_)) => (major, minor) > (3, 5),
        _ => false,
    }
}
