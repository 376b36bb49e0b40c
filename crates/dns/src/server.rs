//! The server: datagrams and connections, and what becomes of a query.

mod chase;
mod listen;
mod tcp;
mod udp;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use stdx::{Clock, Rng};

use crate::{
    answer::{self, Cluster, Verdict},
    directory::Directory,
    forward::{Failure, Forwarder},
    metrics::{Metrics, Sample},
    name::Name,
    wire::{self, Data, Query, Rcode, Refusal, Reply, kind},
};
use listen::Listeners;

/// How the server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's domain: `cluster.local`.
    pub domain: String,
    /// Where to listen, for datagrams and connections. Port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Who knows names outside the cluster; nobody is allowed.
    pub upstreams: Vec<SocketAddr>,
    /// For how many seconds answers may be remembered.
    pub ttl: u32,
    /// Sockets for datagrams at each address, to be served at once.
    pub sockets: usize,
}

impl Config {
    /// The usual set-up at these addresses.
    pub fn new(listen: Vec<SocketAddr>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            domain: "cluster.local".to_owned(),
            listen,
            upstreams: Vec::new(),
            ttl: 5,
            sockets: cores.min(4),
        }
    }
}

/// The server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The domain is no name.
    #[error("{0:?} is no domain")]
    Domain(String),
    /// An address cannot be listened at.
    #[error("listen at {address} ({protocol})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// `udp` or `tcp`.
        protocol: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A server that listens. It answers while [`Server::run`] is awaited.
pub struct Server {
    handle: Handle,
    listeners: Vec<Listeners>,
}

/// A handle to a server, whether or not it runs. Clones are the same server's.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
}

impl Handle {
    /// Where the server listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The server's counts.
    pub fn metrics(&self) -> Vec<Sample> {
        self.shared.metrics.samples()
    }

    /// Changes who knows names outside the cluster.
    pub fn set_upstreams(&self, servers: &[SocketAddr]) {
        let others = without_own(servers, &self.addresses);
        self.shared.forwarder.set_upstreams(&others);
    }
}

impl Server {
    /// Listens. Nothing is answered before [`Server::run`].
    pub fn bind(
        config: &Config,
        directory: Arc<dyn Directory>,
        clock: Clock,
        rng: Rng,
    ) -> Result<Self, Error> {
        let domain = config.domain.trim_end_matches('.').to_ascii_lowercase();
        let zone = Name::parse(&domain)
            .filter(|name| name.count() > 0)
            .ok_or_else(|| Error::Domain(config.domain.clone()))?;
        let listeners = config
            .listen
            .iter()
            .map(|address| Listeners::bind(*address, config.sockets.max(1)))
            .collect::<Result<Vec<_>, _>>()?;
        let addresses: Arc<[SocketAddr]> = listeners.iter().map(|l| l.address).collect();
        let servers: Vec<IpAddr> = addresses.iter().map(SocketAddr::ip).collect();
        let metrics = Arc::new(Metrics::default());
        let upstreams = without_own(&config.upstreams, &addresses);
        let shared = Arc::new(Shared {
            cluster: Cluster {
                zone,
                domain,
                ttl: config.ttl,
                servers,
            },
            directory,
            forwarder: Forwarder::new(&upstreams, clock.clone(), rng, metrics.clone()),
            metrics,
            turn: AtomicUsize::new(0),
            clock,
        });
        Ok(Self {
            handle: Handle { shared, addresses },
            listeners,
        })
    }

    /// A handle that outlives the server.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Answers until the future is dropped.
    pub async fn run(self) {
        let mut tasks = tokio::task::JoinSet::new();
        for listeners in self.listeners {
            for socket in listeners.udp {
                tasks.spawn(udp::serve(self.handle.shared.clone(), socket));
            }
            tasks.spawn(tcp::serve(self.handle.shared.clone(), listeners.tcp));
        }
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the DNS server died");
            }
        }
    }
}

fn without_own(servers: &[SocketAddr], own: &[SocketAddr]) -> Vec<SocketAddr> {
    let others = servers.iter().filter(|server| !own.contains(server));
    others.copied().collect()
}

/// What all parts of the server share.
struct Shared {
    cluster: Cluster,
    directory: Arc<dyn Directory>,
    forwarder: Forwarder,
    metrics: Arc<Metrics>,
    /// Who of several addresses comes first.
    turn: AtomicUsize,
    clock: Clock,
}

/// What is to be done about a message.
enum Next {
    /// Send what was written.
    Send,
    /// Nothing.
    Drop,
    /// Ask others; the reply so far, and the name to follow, if the answer is
    /// more than theirs.
    Ask(Box<Query>, Option<(Reply, String)>),
}

impl Shared {
    /// Answers a message as far as that can be done at once. `reply` is
    /// scratch space.
    fn handle(&self, message: &[u8], datagram: bool, reply: &mut Reply, out: &mut Vec<u8>) -> Next {
        let query = match wire::read(message) {
            Ok(query) => query,
            Err(Refusal::Drop) => {
                self.metrics.dropped();
                return Next::Drop;
            }
            Err(Refusal::Error(rcode)) => {
                wire::write_error(message, rcode, out);
                self.metrics.response(rcode);
                return Next::Send;
            }
        };
        self.metrics.request(datagram, query.kind);
        reply.clear();
        if let Some(rcode) = refused(&query) {
            reply.rcode = rcode;
            return self.send(&query, reply, datagram, out);
        }
        match answer::answer(&query, &self.cluster, &*self.directory, reply) {
            Verdict::Answered => {
                self.take_turns(reply);
                self.send(&query, reply, datagram, out)
            }
            Verdict::Chase(target) => {
                let reply = std::mem::take(reply);
                Next::Ask(Box::new(query), Some((reply, target)))
            }
            Verdict::Forward if self.forwarder.remembered(&query, out) => {
                self.fit(&query, datagram, out);
                Next::Send
            }
            Verdict::Forward => Next::Ask(Box::new(query), None),
        }
    }

    fn send(&self, query: &Query, reply: &Reply, datagram: bool, out: &mut Vec<u8>) -> Next {
        wire::write(query, reply, query.limit(datagram), out);
        self.metrics.response(reply.rcode);
        Next::Send
    }

    /// Refuses a query because too many wait for others already.
    fn busy(&self, query: &Query, out: &mut Vec<u8>) {
        self.metrics.forward_rejected();
        self.send(query, &Reply::error(Rcode::Refused), true, out);
    }

    /// Asks others, and writes what they say for the client.
    async fn ask(
        &self,
        query: &Query,
        message: &[u8],
        datagram: bool,
        chase: Option<(Reply, String)>,
        out: &mut Vec<u8>,
    ) {
        if let Some((mut reply, target)) = chase {
            self.chase(query, &target, &mut reply).await;
            self.send(query, &reply, datagram, out);
            return;
        }
        let asked = self.forwarder.ask(query, message, datagram, out).await;
        match asked {
            Ok(()) => self.fit(query, datagram, out),
            Err(failure) => {
                let reply = Reply {
                    recursion_available: true,
                    ..Reply::error(failed(failure))
                };
                self.send(query, &reply, datagram, out);
            }
        }
    }

    /// Cuts an answer of others that is too long for the client, which then
    /// asks again over a connection.
    fn fit(&self, query: &Query, datagram: bool, out: &mut Vec<u8>) {
        if out.len() > query.limit(datagram) {
            let flags = [out[2] | 0x02, out[3]];
            wire::write(query, &Reply::default(), query.limit(datagram), out);
            out[2..4].copy_from_slice(&flags);
        }
        self.metrics.response_number(out[3] & 0x0f);
    }

    /// Lets each of several addresses be the first in its turn.
    fn take_turns(&self, reply: &mut Reply) {
        let is_address = |data: &Data| matches!(data, Data::A(_) | Data::Aaaa(_));
        let first = reply.answers.iter().position(|r| is_address(&r.data));
        if let Some(first) = first
            && reply.answers.len() - first > 1
        {
            let addresses = &mut reply.answers[first..];
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            addresses.rotate_left(turn % addresses.len());
        }
    }
}

/// What is not answered, whatever the name.
fn refused(query: &Query) -> Option<Rcode> {
    if query
        .extensions
        .is_some_and(|extensions| extensions.version != 0)
    {
        return Some(Rcode::BadVers);
    }
    let kind_refused = matches!(query.kind, kind::ANY | kind::AXFR | kind::IXFR | kind::OPT);
    (query.class != 1 || kind_refused).then_some(Rcode::Refused)
}

fn failed(failure: Failure) -> Rcode {
    match failure {
        Failure::Unanswered => Rcode::ServFail,
        Failure::Busy => Rcode::Refused,
    }
}
