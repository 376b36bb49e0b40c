//! Names outside the cluster: asked of the machine's resolvers.
//!
//! A query is asked of one resolver after the other, beginning with another
//! one each time, and with those last that failed last. The same question is
//! on its way only once; whoever asks it meanwhile waits for the same answer.
//! That also ends loops: if a resolver asks us in turn, the question meets
//! itself and runs into its time limit.

mod cache;
mod exchange;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use stdx::{Clock, Instant, Rng};
use tokio::sync::{Semaphore, watch};

use crate::{
    metrics::Metrics,
    wire::{HEADER, Query},
};
use cache::Cache;

/// For how long a question is pursued.
const TOTAL: Duration = Duration::from_secs(5);

/// For how long one resolver is waited for.
const ATTEMPT: Duration = Duration::from_secs(2);

/// For how long a resolver that failed is asked last.
const SHUNNED: Duration = Duration::from_secs(10);

/// Questions on their way at once.
const CONCURRENT_MAX: usize = 1000;

/// A question as others see it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    name: Vec<u8>,
    kind: u16,
    class: u16,
    extended: bool,
    dnssec: bool,
    checking_disabled: bool,
    recursion_desired: bool,
}

impl Key {
    fn of(query: &Query) -> Self {
        Self {
            name: query.name.lower().to_vec(),
            kind: query.kind,
            class: query.class,
            extended: query.extensions.is_some(),
            dnssec: query.extensions.is_some_and(|extensions| extensions.dnssec),
            checking_disabled: query.checking_disabled,
            recursion_desired: query.recursion_desired,
        }
    }
}

/// Why nobody answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is nobody to ask, or nobody answered in time.
    Unanswered,
    /// Too many questions are on their way.
    Busy,
}

type Answered = Result<Arc<[u8]>, Failure>;

/// A question on its way: whether it goes over TCP, and where its answer will
/// be seen.
type Flights = HashMap<(Key, bool), watch::Receiver<Option<Answered>>>;

/// Asks others, and remembers what they say.
pub(crate) struct Forwarder {
    upstreams: RwLock<Vec<Arc<Upstream>>>,
    next: AtomicUsize,
    cache: Mutex<Cache>,
    flights: Mutex<Flights>,
    room: Semaphore,
    clock: Clock,
    rng: Rng,
    metrics: Arc<Metrics>,
}

struct Upstream {
    address: SocketAddr,
    /// Until when it is asked last.
    shunned: Mutex<Instant>,
}

impl Forwarder {
    pub(crate) fn new(
        servers: &[SocketAddr],
        clock: Clock,
        rng: Rng,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            upstreams: RwLock::new(upstreams(servers)),
            next: AtomicUsize::new(0),
            cache: Mutex::default(),
            flights: Mutex::default(),
            room: Semaphore::new(CONCURRENT_MAX),
            clock,
            rng,
            metrics,
        }
    }

    /// Asks others from now on.
    pub(crate) fn set_upstreams(&self, servers: &[SocketAddr]) {
        let mut current = self
            .upstreams
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = upstreams(servers);
    }

    /// A remembered answer, ready to be sent, if there is one.
    pub(crate) fn remembered(&self, query: &Query, out: &mut Vec<u8>) -> bool {
        let now = self.clock.now();
        let found = lock(&self.cache).get(&Key::of(query), now, out);
        self.metrics.cache(found);
        if found {
            address_to(query, out);
        }
        found
    }

    /// Asks others. `message` is the client's query; the answer is written
    /// for this client.
    pub(crate) async fn ask(
        &self,
        query: &Query,
        message: &[u8],
        datagram: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let answer = self.shared(query, message, datagram).await?;
        out.clear();
        out.extend_from_slice(&answer);
        address_to(query, out);
        Ok(())
    }

    /// Asks, or waits for who asks the same.
    async fn shared(&self, query: &Query, message: &[u8], datagram: bool) -> Answered {
        let key = Key::of(query);
        let (sender, receiver) = {
            let mut flights = lock(&self.flights);
            match flights.get(&(key.clone(), datagram)) {
                Some(receiver) => (None, receiver.clone()),
                None => {
                    let (sender, receiver) = watch::channel(None);
                    flights.insert((key.clone(), datagram), receiver.clone());
                    (Some(sender), receiver)
                }
            }
        };
        let Some(sender) = sender else {
            return self.await_other(receiver).await;
        };
        let landing = Landing {
            flights: &self.flights,
            key: (key, datagram),
        };
        let answered = self.pursue(query, message, datagram).await;
        if let Ok(answer) = &answered {
            let now = self.clock.now();
            lock(&self.cache).put(&landing.key.0, answer, now);
        }
        let answered = answered.map(|answer| cache::capped(&answer).into());
        drop(landing);
        sender.send_replace(Some(answered.clone()));
        answered
    }

    async fn await_other(&self, mut receiver: watch::Receiver<Option<Answered>>) -> Answered {
        let waited = self
            .clock
            .timeout(TOTAL, receiver.wait_for(Option::is_some))
            .await;
        match waited {
            Ok(Ok(answered)) => answered.clone().unwrap_or(Err(Failure::Unanswered)),
            _ => Err(Failure::Unanswered),
        }
    }

    /// Asks one resolver after the other.
    async fn pursue(
        &self,
        query: &Query,
        message: &[u8],
        datagram: bool,
    ) -> Result<Vec<u8>, Failure> {
        let Ok(_room) = self.room.try_acquire() else {
            self.metrics.forward_rejected();
            return Err(Failure::Busy);
        };
        let deadline = self.clock.now() + TOTAL;
        let upstreams = self.order();
        for upstream in upstreams.iter().cycle().take(2 * upstreams.len()) {
            let left = deadline - self.clock.now();
            if left.is_zero() {
                break;
            }
            self.metrics.forwarded();
            let asked = self.ask_one(upstream.address, query, message, datagram);
            match self.clock.timeout(ATTEMPT.min(left), asked).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => {
                    tracing::debug!(server = %upstream.address, %error, "a resolver failed");
                }
                Err(_) => {
                    tracing::debug!(server = %upstream.address, "a resolver did not answer");
                }
            }
            self.metrics.forward_failed();
            *lock(&upstream.shunned) = self.clock.now() + SHUNNED;
        }
        Err(Failure::Unanswered)
    }

    async fn ask_one(
        &self,
        server: SocketAddr,
        query: &Query,
        message: &[u8],
        datagram: bool,
    ) -> std::io::Result<Vec<u8>> {
        let mut message = message.to_vec();
        let id = self.rng.below(1 << 16) as u16;
        message[..2].copy_from_slice(&id.to_be_bytes());
        if datagram {
            exchange::udp(server, query, &message).await
        } else {
            exchange::tcp(server, query, &message).await
        }
    }

    /// The resolvers in the order in which to ask them now.
    fn order(&self) -> Vec<Arc<Upstream>> {
        let all = self
            .upstreams
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let count = all.len();
        let turned = (0..count).map(|index| all[(start + index) % count].clone());
        let (shunned, good): (Vec<_>, Vec<_>) =
            turned.partition(|upstream| *lock(&upstream.shunned) > now);
        good.into_iter().chain(shunned).collect()
    }
}

fn upstreams(servers: &[SocketAddr]) -> Vec<Arc<Upstream>> {
    let upstream = |address: &SocketAddr| Upstream {
        address: *address,
        shunned: Mutex::default(),
    };
    servers.iter().map(upstream).map(Arc::new).collect()
}

/// Forgets that a question is on its way, even if who asked it is gone.
struct Landing<'a> {
    flights: &'a Mutex<Flights>,
    key: (Key, bool),
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        lock(self.flights).remove(&self.key);
    }
}

/// Gives an answer the client's number and spelling.
fn address_to(query: &Query, out: &mut [u8]) {
    out[..2].copy_from_slice(&query.id.to_be_bytes());
    let name = query.name.wire();
    if let Some(question) = out.get_mut(HEADER..HEADER + name.len())
        && question.eq_ignore_ascii_case(name)
    {
        question.copy_from_slice(name);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
