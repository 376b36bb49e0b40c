//! Regular compaction of the cluster, of which one of all API servers does
//! each. Follows storage/etcd3/compact.go of k8s.io/apiserver, with the same
//! key, so that servers of both kinds can share a cluster.

use std::time::Duration;

use bytes::Bytes;
use stdx::Clock;
use tonic::Status;

use super::{
    connection::Connection,
    messages::{
        CompactionRequest, Compare, PutRequest, RangeRequest, RequestOp, TxnRequest, compare,
        request_op::Request,
    },
};

const KEY: &[u8] = b"compact_rev_key";

/// What this server knows of the last round.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    /// The version of the key: how many rounds there were.
    number: i64,
    /// The revision that was current when it was looked at.
    revision: i64,
}

/// Compacts, every interval, to what was current an interval before.
pub(super) async fn run(connection: Connection, clock: Clock, interval: Duration) {
    let mut round = Round::default();
    loop {
        clock.sleep(interval).await;
        match compact(&connection, round).await {
            Ok(next) => round = next,
            Err(status) => {
                tracing::warn!(%status, "could not compact etcd; trying again later");
            }
        }
    }
}

/// Claims a round; whoever comes too late only learns its number.
async fn compact(connection: &Connection, round: Round) -> Result<Round, Status> {
    let response = connection.txn(claim(round)).await?;
    let revision = response.header.map_or(0, |header| header.revision);
    if !response.succeeded {
        let found = response.responses.into_iter().next();
        let found = found.and_then(|response| response.range);
        let kv = found.and_then(|range| range.kvs.into_iter().next());
        let number = kv.map_or(0, |kv| kv.version);
        return Ok(Round { number, revision });
    }
    let number = round.number + 1;
    if round.revision > 0 {
        let request = CompactionRequest {
            revision: round.revision,
        };
        connection.compact(request).await?;
    }
    Ok(Round { number, revision })
}

fn claim(round: Round) -> TxnRequest {
    let key = Bytes::from_static(KEY);
    let put = PutRequest {
        key: key.clone(),
        value: round.revision.to_string().into(),
        lease: 0,
    };
    let get = RangeRequest {
        key: key.clone(),
        ..RangeRequest::default()
    };
    let op = |request| RequestOp {
        request: Some(request),
    };
    TxnRequest {
        compare: vec![Compare {
            target: compare::VERSION,
            key,
            union: Some(compare::Union::Version(round.number)),
        }],
        success: vec![op(Request::Put(put))],
        failure: vec![op(Request::Range(get))],
    }
}
