//! What was acknowledged is there, whatever happens to the server.

use crate::wire::{Door, Events, Wire};
use e2e::{Cluster, Options, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
const WRITERS: usize = 6;
/// How often the server is killed.
const DEATHS: u64 = 6;
/// How many writes are acknowledged between two deaths.
const WRITES: u64 = 150;

/// What writers were told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// Objects that were created, by name.
    created: Mutex<BTreeMap<String, u64>>,
    /// The last acknowledged value and revision of each writer's counter.
    counters: Mutex<BTreeMap<String, (u64, u64)>>,
    /// The revision of the last acknowledged write.
    revision: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Told {
    fn acknowledge(&self, writer_last: &mut u64, revision: u64) {
        if revision <= *writer_last {
            let wrong = format!("revision {revision} came after {writer_last}");
            self.wrong.lock().expect("a lock").push(wrong);
        }
        *writer_last = revision;
        self.revision.fetch_max(revision, Ordering::SeqCst);
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

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
    let told = Arc::new(Told::default());
    let writers: Vec<JoinHandle<()>> = (0..WRITERS)
        .map(|number| {
            let (door, told) = (door.clone(), told.clone());
            std::thread::spawn(move || write(number, &door, &told))
        })
        .collect();
    let watcher = {
        let (door, told) = (door.clone(), told.clone());
        std::thread::spawn(move || watch(&door, &told))
    };
    for _ in 0..DEATHS {
        let goal = told.acknowledged.load(Ordering::SeqCst) + WRITES;
        until("more is written", || {
            told.acknowledged.load(Ordering::SeqCst) >= goal
        });
        cluster.kill_server();
        let before = told.revision.load(Ordering::SeqCst);
        cluster.start_server();
        let (now, _) = list(&door);
        assert!(now >= before, "from revision {before} back to {now}");
    }
    told.stop.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.join().expect("a writer");
    }
    check(&door, &told, watcher);
    let left = cluster.end();
    assert!(left.is_empty(), "left behind: {left:#?}");
}

/// Compares what is there with what was told.
fn check(door: &Door, told: &Told, watcher: JoinHandle<BTreeSet<String>>) {
    let (_, objects) = list(door);
    let created = told.created.lock().expect("a lock");
    let lost: Vec<_> = created
        .keys()
        .filter(|name| !objects.contains_key(*name))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    for (name, (value, revision)) in told.counters.lock().expect("a lock").iter() {
        let object = &objects[name];
        let found: u64 = text(&object["data"]["n"]).parse().expect("a number");
        assert!(found >= *value, "{name} went from {value} back to {found}");
        assert!(revision_of(object) >= *revision, "{name}: {object}");
    }
    let seen = watcher.join().expect("the watcher");
    let unseen: Vec<_> = objects
        .keys()
        .filter(|name| name.starts_with("w") && !seen.contains(*name))
        .collect();
    assert!(unseen.is_empty(), "the watch missed {unseen:?}");
    let wrong = told.wrong.lock().expect("a lock");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Creates objects and raises a counter until told to stop.
fn write(number: usize, door: &Door, told: &Told) {
    let counter = format!("counter-{number}");
    let (mut wire, mut last) = (None, 0);
    let mut count = 0_u64;
    while !told.stop.load(Ordering::SeqCst) {
        let Some(open) = connection(&mut wire, door) else {
            continue;
        };
        count += 1;
        let done = match count.is_multiple_of(2) {
            true => create(open, &format!("w{number}-{count}"), told, &mut last),
            false => raise(open, &counter, count, told, &mut last),
        };
        if done.is_err() {
            wire = None;
        }
    }
}

fn connection<'a>(wire: &'a mut Option<Wire>, door: &Door) -> Option<&'a mut Wire> {
    if wire.is_none() {
        *wire = door.enter().ok();
        if wire.is_none() {
            // The server is dead; it comes back.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    wire.as_mut()
}

fn create(wire: &mut Wire, name: &str, told: &Told, last: &mut u64) -> std::io::Result<()> {
    let body = config_map(name, 0, "");
    let reply = wire.ask("POST", CONFIG_MAPS, &body)?;
    if reply.code == 201 {
        let revision = revision_of(&reply.json());
        let mut created = told.created.lock().expect("a lock");
        created.insert(name.to_string(), revision);
        told.acknowledge(last, revision);
    } else {
        note(told, &format!("creating {name}"), reply.code);
    }
    Ok(())
}

fn raise(
    wire: &mut Wire,
    name: &str,
    value: u64,
    told: &Told,
    last: &mut u64,
) -> std::io::Result<()> {
    let found = wire.ask("GET", &format!("{CONFIG_MAPS}/{name}"), "")?;
    let reply = match found.code {
        404 => wire.ask("POST", CONFIG_MAPS, &config_map(name, value, ""))?,
        _ => {
            let object = found.json();
            let body = config_map(name, value, text(&object["metadata"]["resourceVersion"]));
            wire.ask("PUT", &format!("{CONFIG_MAPS}/{name}"), &body)?
        }
    };
    if matches!(reply.code, 200 | 201) {
        let revision = revision_of(&reply.json());
        let mut counters = told.counters.lock().expect("a lock");
        counters.insert(name.to_string(), (value, revision));
        told.acknowledge(last, revision);
    } else {
        note(told, &format!("raising {name}"), reply.code);
    }
    Ok(())
}

/// A server that is about to be ready may refuse, but not contradict itself.
fn note(told: &Told, what: &str, code: u16) {
    if !matches!(code, 403 | 500 | 503 | 504) {
        told.wrong
            .lock()
            .expect("a lock")
            .push(format!("{what}: {code}"));
    }
}

/// Follows all objects from the beginning; what it has seen when writers have
/// stopped and nothing more comes.
fn watch(door: &Door, told: &Told) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut from = 0;
    loop {
        if from == 0 {
            let Some((revision, objects)) = try_list(door) else {
                continue;
            };
            seen.extend(objects.into_keys());
            from = revision;
        }
        let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}");
        let quiet = match door.watch(&path) {
            Ok(mut events) => follow(&mut events, &mut seen, &mut from, told),
            Err(_) => false,
        };
        if quiet && told.stop.load(Ordering::SeqCst) {
            return seen;
        }
    }
}

/// Whether it ended because nothing more came.
fn follow(events: &mut Events, seen: &mut BTreeSet<String>, from: &mut u64, told: &Told) -> bool {
    let _ = events.set_patience(std::time::Duration::from_secs(2));
    loop {
        let event = match events.next() {
            Ok(Some(event)) => event,
            Ok(None) => return false,
            Err(error) => return matches!(error.kind(), std::io::ErrorKind::WouldBlock),
        };
        let object = &event["object"];
        if event["type"] == "ERROR" {
            // Expired: from the beginning, as clients do.
            assert_eq!(object["code"], 410, "{event}");
            *from = 0;
            return false;
        }
        let revision = revision_of(object);
        if revision <= *from {
            let wrong = format!("the watch went from {from} to {revision}");
            told.wrong.lock().expect("a lock").push(wrong);
        }
        *from = revision;
        seen.insert(text(&object["metadata"]["name"]).to_string());
    }
}

/// The revision of the list and its objects by name.
fn list(door: &Door) -> (u64, BTreeMap<String, Value>) {
    try_list(door).expect("a list")
}

fn try_list(door: &Door) -> Option<(u64, BTreeMap<String, Value>)> {
    let reply = door.ask("GET", CONFIG_MAPS, "").ok()?;
    if reply.code != 200 {
        return None;
    }
    let mut list = reply.json();
    let items = list["items"].take();
    let items = items.as_array().cloned().unwrap_or_default();
    let named = items
        .into_iter()
        .map(|item| (text(&item["metadata"]["name"]).to_string(), item));
    Some((revision_of(&list), named.collect()))
}

fn config_map(name: &str, value: u64, revision: &str) -> String {
    let filler = "x".repeat(700);
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","resourceVersion":"{revision}"}},"data":{{"n":"{value}","filler":"{filler}"}}}}"#
    )
}

fn revision_of(object: &Value) -> u64 {
    let revision = text(&object["metadata"]["resourceVersion"]);
    revision.parse().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
