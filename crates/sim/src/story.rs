//! One run: a cluster comes up, things go wrong while users work, then nothing
//! goes wrong any more, everything comes to rest, and everything is deleted.

use crate::control::Control;
use crate::host::{Host, bootstrap};
use crate::nemesis::Nemesis;
use crate::network::Network;
use crate::node::Node;
use crate::observer::Observer;
use crate::scenario::Scenario;
use crate::trace::{Summary, Trace};
use crate::workload::{self, Workload};
use crate::world::World;
use std::time::Duration;
use stdx::{CancellationToken, Clock, Importance, Supervisor, Timestamp};
use store::disk::Faults;

/// How long what was asked for may be under way, or wait for a slow disk.
const ARRIVAL: Duration = Duration::from_secs(15);
/// How long it may take until everything is at rest.
const REST_MAX: Duration = Duration::from_secs(45 * 60);
/// How long nothing happens when everything is at rest.
const QUIET: Duration = Duration::from_secs(60);
/// Kinds that change though nothing happens.
const RESTLESS: &[&str] = &["coordination.k8s.io/leases", "core/events"];

/// How a run went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What was found wrong, if anything.
    pub violation: Option<String>,
    /// The record.
    pub summary: Summary,
    /// How many commits there were.
    pub commits: u64,
    /// How much time went by in the cluster.
    pub time: Duration,
}

impl Report {
    /// The command that runs the same again and prints all of it.
    pub fn replay(&self) -> String {
        format!("cargo run -p sim -- --seed {}", self.seed)
    }
}

/// Runs a seed to its end.
pub fn run(seed: u64) -> Report {
    run_scenario(Scenario::draw(seed), false)
}

/// Runs a scenario to its end. With `echo` the record also goes to stderr.
pub fn run_scenario(scenario: Scenario, echo: bool) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime without threads: {error}"));
    runtime.block_on(async {
        let epoch = Timestamp::from_second(1_790_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let clock = Clock::simulated(epoch);
        let trace = Trace::new(clock.clone(), echo);
        let level = std::env::var("SIM_LOG").unwrap_or_else(|_| "warn".to_owned());
        let log = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .with_env_filter(tracing_subscriber::EnvFilter::new(level))
            .with_writer(trace.clone())
            .finish();
        let _guard = tracing::subscriber::set_default(log);
        let seed = scenario.seed;
        let world = World::new(scenario, clock.clone(), trace.clone());
        let story = Story::new(&world, epoch);
        let ended = clock.now();
        world.stop.run_until_cancelled(story.tell()).await;
        story.end().await;
        Report {
            seed,
            violation: world.violation(),
            summary: trace.summary(),
            commits: world.state().history.revision,
            time: clock.since(ended),
        }
    })
}

struct Story {
    world: World,
    host: Host,
    network: Network,
    control: Control,
    nodes: Vec<Node>,
    supervisor: Supervisor,
}

impl Story {
    fn new(world: &World, epoch: Timestamp) -> Self {
        let host = Host::new(world);
        let network = Network::new(host.clone());
        let control = Control::new(world, &network);
        let nodes = (0..world.scenario.nodes)
            .map(|number| Node::new(world, &network, number, epoch))
            .collect();
        Self {
            world: world.clone(),
            host,
            network,
            control,
            nodes,
            supervisor: Supervisor::new("story"),
        }
    }

    async fn tell(&self) {
        let scenario = &self.world.scenario;
        self.world.trace.note(format_args!("{scenario:?}"));
        self.host.start().await;
        bootstrap(&self.world, &self.host).await;
        self.control.start();
        self.nodes.iter().for_each(Node::start);
        let observer = Observer::start(&self.world, &self.network, &self.supervisor);
        self.make_trouble().await;
        self.heal().await;
        self.world.trace.note("healed");
        let client = self.network.client(&self.world, "desk", "admin");
        workload::settle(&self.world, &client).await;
        self.come_to_rest(&observer, false).await;
        self.stay_at_rest().await;
        workload::clear(&self.world, &client).await;
        self.come_to_rest(&observer, true).await;
        self.world.trace.note("the end");
    }

    /// Lets users work while things go wrong.
    async fn make_trouble(&self) {
        let scenario = self.world.scenario.clone();
        self.network.set_odds(scenario.odds);
        self.host.set_faults(scenario.disk.clone());
        let users = self.supervisor.child("users");
        let workload = Workload::new(&self.world, &self.network);
        users.spawn("workload", Importance::Ordinary, workload.run());
        let troubles = self.supervisor.child("troubles");
        let nemesis = Nemesis {
            world: self.world.clone(),
            host: self.host.clone(),
            network: self.network.clone(),
            control: self.control.clone(),
            nodes: self.nodes.clone(),
            rng: self.world.rng.fork(),
            supervisor: troubles.clone(),
        };
        let stop = CancellationToken::new();
        let nemesis = nemesis.run(stop.clone());
        let end = async {
            self.world.clock.sleep(scenario.chaos).await;
            stop.cancel();
        };
        futures::future::join(nemesis, end).await;
        users.shutdown(Duration::from_secs(1)).await;
        troubles.shutdown(Duration::from_secs(1)).await;
    }

    /// Nothing goes wrong any more, and what users asked for last has arrived.
    async fn heal(&self) {
        self.network.heal();
        self.host.set_faults(Faults::default());
        if self.host.running().is_none() {
            self.host.start().await;
            bootstrap(&self.world, &self.host).await;
        }
        self.control.start();
        self.nodes.iter().for_each(Node::start);
        self.world.clock.sleep(ARRIVAL).await;
    }

    /// Waits until everything is as it has to be and nothing happens any more.
    async fn come_to_rest(&self, observer: &Observer, is_empty: bool) {
        let clock = &self.world.clock;
        let start = clock.now();
        loop {
            clock.sleep(Duration::from_secs(10)).await;
            self.control.look();
            let quiet = clock.since(self.world.state().history.last_change(RESTLESS));
            let wrong = self.wrong(observer, is_empty);
            if quiet >= QUIET && wrong.is_empty() {
                self.world
                    .trace
                    .note(format_args!("at rest after {:?}", clock.since(start)));
                return;
            }
            if clock.since(start) > REST_MAX {
                let wrong = if wrong.is_empty() {
                    "something always happens".to_owned()
                } else {
                    wrong.join("; ")
                };
                let pending = self.control.pending();
                return self.world.violate(format_args!(
                    "no rest after {REST_MAX:?}, quiet for {quiet:?}: {wrong} ({pending})"
                ));
            }
        }
    }

    fn wrong(&self, observer: &Observer, is_empty: bool) -> Vec<String> {
        let mut wrong = self.world.at_rest();
        wrong.extend(observer.wrong(&self.world));
        let state = self.world.state();
        for node in &self.nodes {
            for uid in node.running() {
                let mut pods = state.history.all("core/pods");
                if !pods.any(|(_, pod)| pod.uid() == uid) {
                    wrong.push(format!("{} runs a pod that is not there: {uid}", node.name));
                }
            }
        }
        if is_empty {
            let left = state.history.objects();
            let left = left.filter(|(place, _)| workload::is_of_users(place));
            wrong.extend(left.map(|(place, _)| format!("{place} is left over")));
        }
        wrong
    }

    /// When everything is at rest, nobody has anything to write.
    async fn stay_at_rest(&self) {
        let clock = &self.world.clock;
        let before = self.world.state().history.last_change(RESTLESS);
        clock.sleep(self.world.scenario.rest).await;
        self.control.look();
        let state = self.world.state();
        let after = state.history.last_change(RESTLESS);
        drop(state);
        if after != before {
            self.world.violate(format_args!(
                "something was written at {:?} though nothing happened",
                after.since_origin()
            ));
        }
    }

    async fn end(&self) {
        self.supervisor.shutdown(Duration::from_secs(1)).await;
        self.control.kill().await;
        for node in &self.nodes {
            node.stop().await;
        }
    }
}
