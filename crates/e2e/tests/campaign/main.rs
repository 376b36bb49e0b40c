//! Trouble without a plan: the processes of a cluster under load (server,
//! pods' monitors, containers) are killed at random, and what must be so is
//! looked at again and again.
//!
//! A campaign has acts: some deeds, then a rest, at which everything must be
//! as if nothing had happened. The usual dose has two acts, the large one
//! lasts an hour; `TIPHYS_E2E_ACTS` says how many it shall be. Each campaign
//! says its seed; `TIPHYS_E2E_SEED` makes the same choices again.

mod books;
mod deeds;
mod house;
mod load;
mod processes;

use books::Books;
use deeds::DEEDS;
use e2e::ledger::{Ledger, Pace};
use e2e::seed::Seeded;
use e2e::wire::Door;
use e2e::{Cluster, Kubectl, Options, Traces, dose, suite};
use load::Load;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    suite(&[], &[("processes_die_at_random", processes_die_at_random)])
}

/// Acts of a campaign; one takes about fifteen seconds.
const ACTS: usize = 2;
const ACTS_OF_AN_HOUR: usize = 240;
/// The longest pause between two deeds, in milliseconds.
const PAUSE_MS: usize = 800;
const PACE: Pace = Pace {
    writers: 2,
    rest: Duration::from_millis(20),
    kept: 40,
};

fn processes_die_at_random() {
    let seed =
        number_of("TIPHYS_E2E_SEED").unwrap_or_else(|| stdx::Rng::system().next_u64() % 1_000_000);
    println!("this campaign again: TIPHYS_E2E_SEED={seed}");
    let acts = number_of("TIPHYS_E2E_ACTS").and_then(|acts| usize::try_from(acts).ok());
    let cluster = Cluster::start(Options::default());
    let before = Traces::of(&cluster);
    let mut campaign = Campaign::begin(cluster, seed);
    for act in 1..=acts.unwrap_or_else(|| dose(ACTS, ACTS_OF_AN_HOUR)) {
        campaign.act(act);
    }
    campaign.end(&before);
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A cluster, what it does, and what is known of it.
struct Campaign {
    cluster: Cluster,
    kubectl: Kubectl,
    seeded: Seeded,
    books: Books,
    ledger: Ledger,
    load: Load,
    /// What was done in this act, for those who look for the cause.
    done: Vec<String>,
}

impl Campaign {
    fn begin(cluster: Cluster, seed: u64) -> Campaign {
        let kubectl = cluster.kubectl().within("default");
        let door = Door::of(&cluster);
        house::furnish(&kubectl);
        let books = Books::open(&cluster, &kubectl);
        let load = Load::begin(&door, &kubectl, &books);
        Campaign {
            seeded: Seeded::new(seed),
            books,
            ledger: Ledger::begin(&door, PACE),
            load,
            cluster,
            kubectl,
            done: Vec::new(),
        }
    }

    /// Some deeds, and what must be so afterwards.
    fn act(&mut self, number: usize) {
        self.done.clear();
        for _ in 0..3 + self.seeded.below(5) {
            self.deed();
            let pause = self.seeded.below(PAUSE_MS);
            std::thread::sleep(Duration::from_millis(pause as u64));
        }
        println!("act {number}: {}", self.done.join(", "));
        self.rest();
    }

    fn deed(&mut self) {
        let weights: usize = DEEDS.iter().map(|(weight, _)| weight).sum();
        let mut left = self.seeded.below(weights);
        for (weight, deed) in DEEDS {
            if left < weight {
                return deed(self);
            }
            left -= weight;
        }
    }

    /// Waits until the cluster is as it should be, and looks whether it is so.
    fn rest(&mut self) {
        house::replace_the_worn(&self.kubectl);
        house::wait_for_peace(&self.cluster, &self.kubectl);
        self.load.must_work();
        self.books.check(&self.cluster, &self.kubectl);
        house::check(&self.cluster, &self.kubectl);
        self.ledger.check();
        self.books.replace_the_worn(&self.kubectl);
        self.load.execute_in(&self.books);
    }

    /// Ends the load, and with it everything of the pods.
    fn end(self, before: &Traces) {
        let tally = self.load.end();
        let writes = self.ledger.close();
        self.books.close();
        println!("{writes} writes were acknowledged; {tally}");
        house::clear(&self.kubectl);
        before.wait_for(&self.cluster);
        let log = self.cluster.log();
        assert!(!log.contains("panicked"), "{log}");
        let left = self.cluster.end();
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}
