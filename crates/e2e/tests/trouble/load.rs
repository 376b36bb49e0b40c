//! What was acknowledged is there, whatever happens to the server.

use e2e::ledger::{Ledger, Pace};
use e2e::wire::Door;
use e2e::{Cluster, Options, until};
use std::time::Duration;

/// How often the server is killed.
const DEATHS: u64 = 6;
/// How many writes are acknowledged between two deaths.
const WRITES: u64 = 150;
const PACE: Pace = Pace {
    writers: 6,
    rest: Duration::ZERO,
    kept: 100,
};

pub fn nothing_acknowledged_is_lost() {
    let arguments = vec!["--disable-agent".to_string()];
    let options = Options {
        arguments,
        without_images: true,
    };
    let mut cluster = Cluster::prepare(options);
    cluster.start_server();
    let door = Door::of(&cluster);
    until("the namespace is there", || {
        let namespace = door.ask("GET", "/api/v1/namespaces/default", "");
        namespace.is_ok_and(|reply| reply.code == 200)
    });
    let ledger = Ledger::begin(&door, PACE);
    for _ in 0..DEATHS {
        let goal = ledger.acknowledged() + WRITES;
        until("more is written", || ledger.acknowledged() >= goal);
        cluster.kill_server();
        let before = ledger.revision();
        cluster.start_server();
        let now = ledger.check();
        assert!(now >= before, "from revision {before} back to {now}");
    }
    ledger.close();
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}
