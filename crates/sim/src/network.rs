//! The ways between machines and the server: they lose requests and answers,
//! deliver requests twice, delay both so that they overtake each other, end
//! watches, and are cut for a while. Below the faults, what the server says is
//! noted for the checkers; above them, what the controllers hear.

mod tap;
mod way;

use crate::host::{Host, Running};
use crate::request::Aim;
use crate::scenario::Odds;
use crate::world::World;
use async_trait::async_trait;
use auth::User;
use client::{Body, Client, EventType, Request, Response, Transport, TransportError, WatchEvent};
use futures::stream::{BoxStream, StreamExt};
use futures::{FutureExt, future};
use http::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::Rng;
use tap::Tap;
use tokio::sync::oneshot;
use way::{Pupil, Way};

type Events = BoxStream<'static, Result<WatchEvent, TransportError>>;

/// How long a silent connection is believed in.
const PATIENCE: Duration = Duration::from_secs(20);

/// The state of all ways. Clones are the same network.
#[derive(Clone)]
pub struct Network {
    host: Host,
    state: Arc<Mutex<State>>,
}

struct State {
    odds: Odds,
    cut: BTreeSet<String>,
}

/// One client's way.
struct Line {
    world: World,
    network: Network,
    machine: String,
    user: User,
    rng: Rng,
    /// Whether what arrives is what the controllers know.
    teaches: bool,
}

impl Network {
    /// A network that loses nothing.
    pub fn new(host: Host) -> Self {
        let state = State {
            odds: Odds::default(),
            cut: BTreeSet::new(),
        };
        Self {
            host,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Changes what goes wrong from now on.
    pub fn set_odds(&self, odds: Odds) {
        self.state().odds = odds;
    }

    /// Cuts a machine off, or connects it again.
    pub fn cut(&self, machine: &str, is_cut: bool) {
        let mut state = self.state();
        if is_cut {
            state.cut.insert(machine.to_owned());
        } else {
            state.cut.remove(machine);
        }
    }

    /// Connects every machine and loses nothing any more.
    pub fn heal(&self) {
        let mut state = self.state();
        state.odds = Odds::default();
        state.cut.clear();
    }

    /// A client on a machine.
    pub fn client(&self, world: &World, machine: &str, identity: &str) -> Client {
        let user = match identity.strip_prefix("system:serviceaccount:") {
            Some(rest) => {
                let (namespace, name) = rest.split_once(':').unwrap_or(("default", rest));
                User::service_account(namespace, name)
            }
            None => User::new(identity, &["system:masters", "system:authenticated"]),
        };
        let line = Line {
            world: world.clone(),
            network: self.clone(),
            machine: machine.to_owned(),
            user,
            rng: world.rng.fork(),
            teaches: identity == "system:kube-controller-manager",
        };
        Client::new(Arc::new(line)).with_user_agent(identity)
    }

    fn odds(&self) -> Odds {
        self.state().odds
    }

    fn is_cut(&self, machine: &str) -> bool {
        self.state().cut.contains(machine)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Line {
    async fn call(&self, request: Request) -> Result<Response, TransportError> {
        let odds = self.network.odds();
        let aim = Aim::of(&request);
        self.dawdle(odds).await;
        if self.network.is_cut(&self.machine) || self.rng.chance(odds.request_lost) {
            self.wait_in_vain().await;
            return Err(self.lost("request"));
        }
        if self.rng.chance(odds.too_many) {
            return Ok(refusal(429, "TooManyRequests"));
        }
        if aim.is_resumed_watch() && self.rng.chance(odds.watch_gone) {
            return Ok(gone());
        }
        let Some(running) = self.network.host.running() else {
            self.world.clock.sleep(Duration::from_millis(100)).await;
            return Err(TransportError::Connect {
                address: "server".to_owned(),
                source: "connection refused".into(),
            });
        };
        let answer = self.deliver(&running, request, aim, odds).await;
        let response = answer.map_err(|_| self.lost("connection"))?;
        if self.network.is_cut(&self.machine) || self.rng.chance(odds.answer_lost) {
            self.wait_in_vain().await;
            return Err(self.lost("answer"));
        }
        self.dawdle(odds).await;
        Ok(response)
    }
}

impl Line {
    /// Brings a request to the server, at times twice, as whoever sends again what
    /// seemed lost does; one of the answers is heard.
    async fn deliver(
        &self,
        running: &Arc<Running>,
        request: Request,
        aim: Aim,
        odds: Odds,
    ) -> Result<Response, oneshot::error::RecvError> {
        if request.method == Method::GET || !self.rng.chance(odds.twice) {
            return self.exchange(running, request, aim).await;
        }
        let one = self.exchange(running, request.clone(), aim.clone());
        let two = self.exchange(running, request, aim);
        if self.rng.chance(0.5) {
            return future::join(one, two).await.1;
        }
        drop(one.await);
        two.await
    }

    /// Has the server do what is asked. A client that does not wait for the answer
    /// may or may not keep the server from doing it.
    async fn exchange(
        &self,
        running: &Arc<Running>,
        request: Request,
        aim: Aim,
    ) -> Result<Response, oneshot::error::RecvError> {
        let (mut sender, receiver) = oneshot::channel();
        let gives_up = self.rng.chance(0.5);
        let pupil = Pupil::new(&self.world, aim.has_initial_events);
        let pupil = self.teaches.then_some(pupil);
        let tap = Tap::new(&self.world, &self.user, aim);
        let inner = loopback::Loopback::new(running.server.clone(), self.user.clone());
        let (world, ended) = (self.world.clone(), running.ended.clone());
        let way = Way {
            world: self.world.clone(),
            network: self.network.clone(),
            machine: self.machine.clone(),
            rng: self.rng.fork(),
        };
        running.spawn(async move {
            let path = request.path.clone();
            let work = AssertUnwindSafe(inner.call(request)).catch_unwind();
            let work = async {
                if !gives_up {
                    return Some(work.await);
                }
                let closed = std::pin::pin!(sender.closed());
                let work = std::pin::pin!(work);
                match future::select(work, closed).await {
                    future::Either::Left((outcome, _)) => Some(outcome),
                    future::Either::Right(_) => None,
                }
            };
            let response = match work.await {
                Some(Ok(Ok(response))) => response,
                Some(Ok(Err(error))) => {
                    return world.violate(format_args!("{path}: {}", client::chain(&error)));
                }
                Some(Err(_)) => {
                    return world.violate(format_args!("the server panicked at {path}"));
                }
                None => return,
            };
            let mut response = tap.note(response);
            if let Body::Events(events) = response.body {
                let events = events.take_until(ended.cancelled_owned()).boxed();
                response.body = Body::Events(way.disturb(events, tap.kind().to_owned(), pupil));
            }
            let _ = sender.send(response);
        });
        receiver.await
    }

    async fn dawdle(&self, odds: Odds) {
        let millis = odds.delay_max.as_millis() as u64;
        let delay = if self.rng.chance(0.1) {
            self.rng.below(millis + 1)
        } else {
            self.rng.below(millis / 20 + 1)
        };
        // Nothing takes no time: who runs in circles does not do so for ever.
        let micros = 500 + self.rng.below(2500);
        let delay = Duration::from_millis(delay) + Duration::from_micros(micros);
        self.world.clock.sleep(delay).await;
    }

    async fn wait_in_vain(&self) {
        let patience = PATIENCE.mul_f64(self.rng.unit());
        self.world.clock.sleep(patience).await;
    }

    fn lost(&self, what: &str) -> TransportError {
        TransportError::Exchange {
            address: "server".to_owned(),
            source: format!("{what} of {} lost", self.user.name).into(),
        }
    }
}

fn refusal(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason,
        "code": code, "message": "simulated", "details": {"retryAfterSeconds": 1}});
    Response {
        status: StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        headers: HeaderMap::new(),
        body: Body::Full(status.to_string().into()),
    }
}

/// A watch that says at once that it cannot go on from there.
fn gone() -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired",
        "code": 410, "message": "too old resource version (simulated)"});
    let event = WatchEvent {
        kind: EventType::Error,
        object: status.to_string().into(),
    };
    Response {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: Body::Events(futures::stream::iter([Ok(event)]).boxed()),
    }
}
