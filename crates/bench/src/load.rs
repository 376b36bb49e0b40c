//! Load: as many requests in flight as asked for, the next one sent when one
//! is answered.

use crate::http2::{Connection, Piece, Request, unexpected};
use crate::process::Spent;
use crate::server::Server;
use anyhow::Result;
use futures::future::try_join_all;
use std::cell::Cell;
use std::time::Duration;
use stdx::{Clock, Instant};

/// Streams on one connection; servers allow 250 at least.
const STREAMS_MAX: usize = 128;

/// Requests of one form.
pub struct Load<'a> {
    /// How many are in flight.
    pub in_flight: usize,
    /// How many there are.
    pub count: usize,
    /// Makes one of them.
    pub make: &'a dyn Fn(usize) -> Request,
    /// How the body of a right answer begins.
    pub expect: &'a [u8],
}

/// What a load came to.
#[derive(Debug)]
pub struct Outcome {
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Of each request, sorted.
    pub latencies: Vec<Duration>,
    /// Processor time.
    pub spent: Spent,
    /// Bytes of bodies.
    pub bytes: u64,
}

impl Outcome {
    /// Requests in a second.
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Microseconds of a processor for each request.
    pub fn micros_each(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / self.latencies.len() as f64
    }

    /// The latency that a share of the requests keep below.
    pub fn quantile(&self, share: f64) -> Duration {
        quantile(&self.latencies, share)
    }
}

/// Of sorted durations, the one that a share of them do not exceed.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(at.saturating_sub(1).min(last))
        .copied()
        .unwrap_or_default()
}

/// Runs a load over as few connections as it needs.
pub async fn run(server: &Server, clock: &Clock, load: &Load<'_>) -> Result<Outcome> {
    let connections = load.in_flight.div_ceil(STREAMS_MAX);
    run_over(connections.max(1), server, clock, load).await
}

/// Runs a load in which each request in flight has a connection of its own.
pub async fn run_apart(server: &Server, clock: &Clock, load: &Load<'_>) -> Result<Outcome> {
    run_over(load.in_flight, server, clock, load).await
}

async fn run_over(
    count: usize,
    server: &Server,
    clock: &Clock,
    load: &Load<'_>,
) -> Result<Outcome> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        connections.push(server.connect().await?);
    }
    let next = Cell::new(0);
    let bytes = Cell::new(0);
    let each = load.in_flight.div_ceil(count);
    let before = Spent::now(&server.pids);
    let start = clock.now();
    let pumps = connections
        .into_iter()
        .map(|connection| pump(connection, load, each, &next, &bytes, clock));
    let mut latencies = try_join_all(pumps).await?.concat();
    let elapsed = clock.since(start);
    let spent = Spent::now(&server.pids).since(before);
    latencies.sort_unstable();
    Ok(Outcome {
        elapsed,
        latencies,
        spent,
        bytes: bytes.get(),
    })
}

/// A request that was sent.
struct Sent {
    number: usize,
    at: Instant,
    /// How many bytes of the answer's beginning were compared.
    compared: usize,
}

/// Keeps one connection busy until there is nothing more to ask.
async fn pump(
    mut connection: Connection,
    load: &Load<'_>,
    each: usize,
    next: &Cell<usize>,
    bytes: &Cell<u64>,
    clock: &Clock,
) -> Result<Vec<Duration>> {
    let mut sent: Vec<Sent> = Vec::with_capacity(load.count);
    let mut latencies = Vec::with_capacity(load.count);
    let mut in_flight = 0;
    loop {
        while in_flight < each && next.get() < load.count {
            let number = next.replace(next.get() + 1);
            let at = clock.now();
            connection.request(&(load.make)(number));
            sent.push(Sent {
                number,
                at,
                compared: 0,
            });
            in_flight += 1;
            if connection.is_full() {
                connection.flush().await?;
            }
        }
        if in_flight == 0 {
            return Ok(latencies);
        }
        let mut wrong = None;
        connection
            .receive(|piece| {
                let (stream, content, end) = match piece {
                    Piece::Head { stream, end } => (stream, &[][..], end),
                    Piece::Data { stream, bytes, end } => (stream, bytes, end),
                };
                let Some(one) = sent.get_mut((stream / 2) as usize) else {
                    return;
                };
                bytes.set(bytes.get() + content.len() as u64);
                if !is_right(one, content, load.expect) || (end && one.compared == 0) {
                    wrong = Some(unexpected(&(load.make)(one.number), content));
                }
                if end {
                    latencies.push(clock.since(one.at));
                    in_flight -= 1;
                }
            })
            .await?;
        if let Some(wrong) = wrong {
            return Err(wrong.into());
        }
    }
}

/// Compares the beginning of an answer, however many pieces it comes in.
fn is_right(sent: &mut Sent, content: &[u8], expect: &[u8]) -> bool {
    let left = expect.get(sent.compared..).unwrap_or_default();
    let length = left.len().min(content.len());
    sent.compared += length;
    left.get(..length) == content.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sample() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 0.5), Duration::from_millis(50));
        assert_eq!(quantile(&sorted, 0.99), Duration::from_millis(99));
        assert_eq!(quantile(&[], 0.99), Duration::ZERO);
    }
}
