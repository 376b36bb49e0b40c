//! The ways between machines and the server: they lose requests and answers,
//! delay them, end watches, and are cut for a while. Below the faults, what the
//! server says is noted for the checkers; above them, what the controllers hear.

use crate::history::Place;
use crate::host::{Host, Running};
use crate::request::{Aim, Verb};
use crate::scenario::Odds;
use crate::world::World;
use async_trait::async_trait;
use auth::User;
use bytes::Bytes;
use client::{Body, Client, EventType, Request, Response, Transport, TransportError, WatchEvent};
use futures::stream::{BoxStream, StreamExt};
use futures::{FutureExt, future};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stdx::Rng;
use tokio::sync::oneshot;

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
        let answer = self.exchange(&running, request, aim).await;
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
        let tap = Tap::new(&self.world, &self.user, aim);
        let inner = loopback::Loopback::new(running.server.clone(), self.user.clone());
        let (world, ended) = (self.world.clone(), running.ended.clone());
        let teaches = self.teaches.then(|| self.world.clone());
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
                response.body = Body::Events(way.disturb(events, tap.kind().to_owned(), teaches));
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

/// The way of one watch's events.
struct Way {
    world: World,
    network: Network,
    machine: String,
    rng: Rng,
}

impl Way {
    /// Delivers events, late at times, and not all of them. The stream of a server
    /// that has ended breaks off.
    fn disturb(self, events: Events, kind: String, teaches: Option<World>) -> Events {
        let state = (Some(events), self);
        let disturbed = futures::stream::unfold(state, move |(events, way)| {
            let (kind, teaches) = (kind.clone(), teaches.clone());
            async move {
                let mut events = events?;
                let event = events.next().await;
                let broken = |way| Some((Err(TransportError::Body("broken".into())), (None, way)));
                let Some(Ok(event)) = event else {
                    return if way.rng.chance(0.5) {
                        None
                    } else {
                        broken(way)
                    };
                };
                if !way.passes().await {
                    return broken(way);
                }
                if let Some(world) = teaches
                    && event.kind != EventType::Bookmark
                    && event.kind != EventType::Error
                {
                    let gone = event.kind == EventType::Deleted;
                    let now = world.clock.now();
                    let mut state = world.state();
                    state.knowledge.tell(&kind, &event.object, gone, now);
                }
                Some((Ok(event), (Some(events), way)))
            }
        });
        disturbed.boxed()
    }

    /// Waits until an event is through; false if the watch broke before.
    async fn passes(&self) -> bool {
        let odds = self.network.odds();
        let clock = &self.world.clock;
        if self.rng.chance(0.05) {
            let millis = odds.delay_max.as_millis() as u64;
            clock
                .sleep(Duration::from_millis(self.rng.below(millis + 1)))
                .await;
        }
        let since = clock.now();
        if self.rng.chance(odds.watch_stall) {
            let stall = PATIENCE.mul_f64(self.rng.unit());
            while self.network.odds().watch_stall > 0.0 && clock.since(since) < stall {
                clock.sleep(Duration::from_millis(500)).await;
            }
        }
        while self.network.is_cut(&self.machine) {
            if clock.since(since) > PATIENCE {
                return false;
            }
            clock.sleep(Duration::from_millis(500)).await;
        }
        !self.rng.chance(odds.watch_cut)
    }
}

/// Notes what the server answers to one request.
struct Tap {
    world: World,
    who: String,
    aim: Aim,
    /// What a read may not be older than.
    floor: u64,
}

impl Tap {
    fn new(world: &World, user: &User, aim: Aim) -> Self {
        let floor = {
            let state = world.state();
            match aim.verb {
                Verb::Get => state.taps.floor(Some(&aim.place)),
                Verb::List => state.taps.floor(None),
                _ => 0,
            }
        };
        Self {
            world: world.clone(),
            who: user.name.clone(),
            aim,
            floor,
        }
    }

    fn kind(&self) -> &str {
        &self.aim.place.kind
    }

    fn note(&self, response: Response) -> Response {
        let Aim { verb, place, .. } = &self.aim;
        let code = response.status.as_u16();
        if *verb != Verb::Get || code != 200 {
            self.world
                .trace
                .note(format_args!("{} {verb:?} {place} {code}", self.who));
        }
        match response.body {
            Body::Events(events) => Response {
                body: Body::Events(self.watched(events)),
                ..response
            },
            Body::Full(bytes) => {
                if !response.status.is_success() {
                    self.refused(&bytes);
                } else if let Err(why) = self.answered(&bytes) {
                    self.world.violate(why);
                }
                Response {
                    body: Body::Full(bytes),
                    ..response
                }
            }
            body => Response { body, ..response },
        }
    }

    /// Notes why the server refused what a client wanted to write.
    fn refused(&self, bytes: &Bytes) {
        let status = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        if matches!(status["code"].as_u64(), Some(422 | 500..)) {
            self.world
                .trace
                .note(format_args!("  {}", status["message"]));
        }
    }

    fn answered(&self, bytes: &Bytes) -> Result<(), String> {
        let Aim { verb, place, .. } = &self.aim;
        if !self.aim.is_noted() {
            return Ok(());
        }
        let answer: Value = serde_json::from_slice(bytes)
            .map_err(|error| format!("{verb:?} {place} answered no JSON: {error}"))?;
        let revision = answer["metadata"]["resourceVersion"].as_str();
        let revision = revision.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut state = self.world.state();
        match verb {
            Verb::Get | Verb::List if revision < self.floor => Err(format!(
                "{verb:?} {place} answered {} with {revision}, but {} was acknowledged before",
                self.who, self.floor
            )),
            Verb::List if self.aim.selection.is_some() => {
                let selection = self.aim.selection.clone().unwrap_or_default();
                state.taps.listed(self.who.clone(), selection, &answer);
                let state = &mut *state;
                state.taps.check(&state.history)
            }
            Verb::Write => {
                let name = answer["metadata"]["name"].as_str().unwrap_or_default();
                let place = Place::new(&place.kind, &place.namespace, name);
                state.taps.wrote(place, revision);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn watched(&self, events: Events) -> Events {
        let Some(selection) = self.aim.selection.clone() else {
            return events;
        };
        let after = self.aim.after;
        if after.is_none() && !self.aim.has_initial_events {
            return events;
        }
        let world = self.world.clone();
        let id = {
            let mut state = world.state();
            let state = &mut *state;
            let who = self.who.clone();
            state.taps.open(who, selection, after, &state.history)
        };
        let closing = Closing {
            world: world.clone(),
            id,
        };
        let noted = events.inspect(move |event| {
            let _ = &closing;
            let Ok(event) = event else { return };
            let outcome = {
                let mut state = world.state();
                let state = &mut *state;
                state.taps.said(id, event, &state.history)
            };
            if let Err(why) = outcome {
                world.violate(why);
            }
        });
        noted.boxed()
    }
}

/// Notes that a watch is no more, however it ends.
struct Closing {
    world: World,
    id: u64,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.world.state().taps.close(self.id);
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
