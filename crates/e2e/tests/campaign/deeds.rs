//! What is done to a cluster, and how often.

use crate::Campaign;
use crate::house::{CROWD, WEB};
use crate::processes::Processes;
use std::time::Duration;

/// A deed.
pub type Deed = fn(&mut Campaign);

/// All deeds, each with its weight. A deed chooses its victims itself.
pub const DEEDS: [(usize, Deed); 9] = [
    (4, kill_the_server),
    (2, kill_a_server_that_starts),
    (1, stop_the_server),
    (4, kill_monitors),
    (6, kill_containers),
    (3, kill_behind_the_servers_back),
    (2, scale),
    (1, roll_out),
    (2, delete_a_pod),
];

/// The longest absence of a server, in milliseconds.
const ABSENCE_MS: usize = 1500;
/// How soon a server that starts is killed, in milliseconds.
const YOUTH_MS: usize = 1200;

fn kill_the_server(campaign: &mut Campaign) {
    campaign.books.server_dies();
    campaign.cluster.kill_server();
    campaign.be_absent();
    campaign.cluster.start_server();
    campaign.note("the server was killed");
}

/// While it adopts what runs, or before it.
fn kill_a_server_that_starts(campaign: &mut Campaign) {
    campaign.books.server_dies();
    campaign.cluster.kill_server();
    for _ in 0..=campaign.seeded.below(2) {
        campaign.cluster.launch_server();
        let age = campaign.seeded.below(YOUTH_MS);
        std::thread::sleep(Duration::from_millis(age as u64));
        campaign.books.server_dies();
        campaign.cluster.kill_server();
        campaign.note(&format!("a server was killed after {age} ms"));
    }
    campaign.cluster.start_server();
}

fn stop_the_server(campaign: &mut Campaign) {
    campaign.books.server_dies();
    campaign.cluster.stop_server();
    campaign.be_absent();
    campaign.cluster.start_server();
    campaign.note("the server was stopped");
}

fn kill_monitors(campaign: &mut Campaign) {
    for _ in 0..=campaign.seeded.below(3) {
        campaign.kill_a_monitor();
    }
}

fn kill_containers(campaign: &mut Campaign) {
    for _ in 0..=campaign.seeded.below(4) {
        campaign.kill_a_container();
    }
}

fn kill_behind_the_servers_back(campaign: &mut Campaign) {
    campaign.books.server_dies();
    campaign.cluster.kill_server();
    campaign.note("the server was killed, and while it was away");
    for _ in 0..=campaign.seeded.below(3) {
        match campaign.seeded.below(2) {
            0 => campaign.kill_a_monitor(),
            _ => campaign.kill_a_container(),
        }
    }
    campaign.cluster.start_server();
}

fn scale(campaign: &mut Campaign) {
    let replicas = campaign.seeded.below(6);
    campaign.try_kubectl(&format!("scale deployment {CROWD} --replicas={replicas}"));
}

fn roll_out(campaign: &mut Campaign) {
    let restart = format!("rollout restart deployment/{WEB}");
    let outcome = campaign.kubectl.run(&restart);
    // Twice within one second would be the same restart.
    let is_known = outcome.stderr.contains("within the past second");
    assert!(outcome.is_ok() || is_known, "{restart}\n{outcome:#?}");
    campaign.note(&format!("kubectl {restart}"));
}

fn delete_a_pod(campaign: &mut Campaign) {
    let name = campaign.seeded.pick(&[WEB, CROWD]).copied().unwrap_or(WEB);
    let pods = campaign
        .kubectl
        .ok(&format!("get pods -l app={name} -o name"));
    let pods: Vec<&str> = pods.lines().collect();
    if let Some(pod) = campaign.seeded.pick(&pods) {
        campaign.try_kubectl(&format!("delete {pod} --wait=false --ignore-not-found"));
    }
}

impl Campaign {
    fn note(&mut self, what: &str) {
        self.done.push(what.to_string());
    }

    fn be_absent(&mut self) {
        let absence = self.seeded.below(ABSENCE_MS);
        std::thread::sleep(Duration::from_millis(absence as u64));
    }

    fn kill_a_monitor(&mut self) {
        let monitors = Processes::of(&self.cluster).monitors;
        let monitors: Vec<u32> = monitors.into_iter().collect();
        if let Some(pid) = self.seeded.pick(&monitors).copied() {
            self.books.kill_monitor(pid);
            self.note(&format!("monitor {pid} was killed"));
        }
    }

    fn kill_a_container(&mut self) {
        let contained = Processes::of(&self.cluster).contained;
        let contained: Vec<u32> = contained.into_iter().collect();
        if let Some(pid) = self.seeded.pick(&contained).copied() {
            let line = e2e::machine::command_line(pid);
            self.books.kill_contained(pid);
            self.note(&format!("{pid} ({}) was killed", line.trim()));
        }
    }

    #[track_caller]
    fn try_kubectl(&mut self, arguments: &str) {
        self.kubectl.ok(arguments);
        self.note(&format!("kubectl {arguments}"));
    }
}
