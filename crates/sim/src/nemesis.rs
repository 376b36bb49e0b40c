//! The one who makes trouble: kills, cuts, jumps and compacts, as the scenario
//! says, until told to stop.

use crate::control::{Control, MACHINE};
use crate::host::{Crash, Host, bootstrap};
use crate::network::Network;
use crate::node::Node;
use crate::world::World;
use std::time::Duration;
use stdx::{CancellationToken, Rng, SignedDuration, Supervisor};
use store::{Revision, Store};

/// Who makes trouble, and whom for.
#[derive(Clone)]
pub struct Nemesis {
    /// The run.
    pub world: World,
    /// The server's machine.
    pub host: Host,
    /// The ways to it.
    pub network: Network,
    /// Controllers and scheduler.
    pub control: Control,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Its own randomness.
    pub rng: Rng,
    /// The owner of what takes a while.
    pub supervisor: Supervisor,
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    PowerCut,
    TornWrite,
    BrokenStart,
    Kill,
    ControlKill,
    KubeletRestart,
    NodeDeath,
    Partition,
    ClockJump,
    Compaction,
    FullDisk,
}

impl Nemesis {
    /// Makes trouble until told to stop. What was begun is brought to its end.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            let pace = self.world.scenario.trouble.pace;
            let pause = pace.mul_f64(2.0 * self.rng.unit());
            let pause = stop.run_until_cancelled(self.world.clock.sleep(pause));
            if pause.await.is_none() {
                return;
            }
            if let Some(trouble) = self.choose() {
                self.make(trouble).await;
            }
        }
    }

    fn choose(&self) -> Option<Trouble> {
        let odds = &self.world.scenario.trouble;
        let weights = [
            (odds.power_cut, Trouble::PowerCut),
            (odds.torn_write, Trouble::TornWrite),
            (odds.broken_start, Trouble::BrokenStart),
            (odds.kill, Trouble::Kill),
            (odds.control_kill, Trouble::ControlKill),
            (odds.kubelet_restart, Trouble::KubeletRestart),
            (odds.node_death, Trouble::NodeDeath),
            (odds.partition, Trouble::Partition),
            (odds.clock_jump, Trouble::ClockJump),
            (odds.compaction, Trouble::Compaction),
            (odds.full_disk, Trouble::FullDisk),
        ];
        let mut left = self
            .rng
            .below(weights.iter().map(|(weight, _)| weight).sum());
        weights.into_iter().find_map(|(weight, trouble)| {
            if left < weight {
                return Some(trouble);
            }
            left -= weight;
            None
        })
    }

    async fn make(&self, trouble: Trouble) {
        self.world.trace.note(format_args!("trouble: {trouble:?}"));
        match trouble {
            Trouble::PowerCut => self.crash(Crash::PowerCut).await,
            Trouble::TornWrite => self.crash(Crash::TornWrite).await,
            Trouble::BrokenStart => {
                self.host.break_next_start(self.rng.below(60));
                self.crash(Crash::PowerCut).await;
            }
            Trouble::Kill => self.crash(Crash::Kill).await,
            Trouble::ControlKill => {
                self.control.kill().await;
                self.pause(10).await;
                self.control.start();
            }
            Trouble::KubeletRestart | Trouble::NodeDeath => self.stop_node(trouble),
            Trouble::Partition => self.partition(),
            Trouble::ClockJump => self.jump(),
            Trouble::Compaction => self.compact().await,
            Trouble::FullDisk => self.fill(),
        }
    }

    async fn crash(&self, how: Crash) {
        self.host.crash(how).await;
        self.pause(15).await;
        self.host.start().await;
        bootstrap(&self.world, &self.host).await;
    }

    async fn pause(&self, seconds_max: u64) {
        let pause = Duration::from_millis(self.rng.below(seconds_max * 1000));
        self.world.clock.sleep(pause).await;
    }

    fn stop_node(&self, trouble: Trouble) {
        let Some(node) = self.rng.choose(&self.nodes).cloned() else {
            return;
        };
        let seconds = match trouble {
            Trouble::NodeDeath => self.rng.range(1..150),
            _ => self.rng.range(0..10),
        };
        let clock = self.world.clock.clone();
        self.spawn(async move {
            match trouble {
                Trouble::NodeDeath => node.die().await,
                _ => node.stop().await,
            }
            clock.sleep(Duration::from_secs(seconds)).await;
            node.start();
        });
    }

    fn partition(&self) {
        let mut machines: Vec<String> = self.nodes.iter().map(|node| node.name.clone()).collect();
        machines.push(MACHINE.to_owned());
        let Some(machine) = self.rng.choose(&machines).cloned() else {
            return;
        };
        self.world.trace.note(format_args!("{machine} is cut off"));
        let length = Duration::from_secs(self.rng.range(1..120));
        let (network, world) = (self.network.clone(), self.world.clone());
        network.cut(&machine, true);
        self.spawn(async move {
            world.clock.sleep(length).await;
            world
                .trace
                .note(format_args!("{machine} is connected again"));
            network.cut(&machine, false);
        });
    }

    /// Fills the disk but for a little, for a while.
    fn fill(&self) {
        self.host.fill(self.rng.below(16 << 10));
        let length = Duration::from_secs(self.rng.range(1..40));
        let (host, world) = (self.host.clone(), self.world.clone());
        self.spawn(async move {
            world.clock.sleep(length).await;
            world.trace.note("there is room on the disk again");
            host.make_room();
        });
    }

    fn jump(&self) {
        let seconds = self.rng.below(240) as i64 - 120;
        let by = SignedDuration::from_secs(seconds);
        match self.rng.choose(&self.nodes) {
            Some(node) if self.rng.chance(0.5) => node.clock().step_wall(by),
            _ => self.world.clock.step_wall(by),
        };
    }

    async fn compact(&self) {
        let known = self.world.state().history.revision;
        let at = known.saturating_sub(self.rng.below(100));
        if let Some(running) = self.host.running()
            && let Err(error) = running.store.compact(Revision(at)).await
        {
            let error = client::chain(&error);
            self.world
                .trace
                .note(format_args!("compaction at {at}: {error}"));
        }
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.supervisor
            .spawn("trouble", stdx::Importance::Ordinary, work);
    }
}
