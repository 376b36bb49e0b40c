//! Writers who note what they were told, so that it can be asked for again
//! whatever happened to the server meanwhile.

use crate::wire::{Door, Events, Wire};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// How long a writer waits when there is no server.
const ABSENCE: Duration = Duration::from_millis(20);
/// A watch that says nothing for so long after the last write has said all.
const QUIET: Duration = Duration::from_secs(2);

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Writers at a time.
    pub writers: usize,
    /// How long each of them rests between two writes.
    pub rest: Duration,
    /// How many objects each of them leaves; it deletes the older ones.
    pub kept: usize,
}

/// Writers and a watcher at work.
pub struct Ledger {
    door: Door,
    told: Arc<Told>,
    writers: Vec<JoinHandle<()>>,
    watcher: JoinHandle<BTreeSet<String>>,
}

/// What writers were told.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// The revision of the last acknowledged write.
    revision: AtomicU64,
    books: Mutex<Books>,
}

/// What is known of each object.
#[derive(Clone, Default)]
struct Books {
    /// Those whose creation was acknowledged and whose deletion was not asked for.
    created: BTreeSet<String>,
    /// Those whose deletion was acknowledged.
    deleted: BTreeSet<String>,
    /// The last acknowledged value and revision of each writer's counter.
    counters: BTreeMap<String, (u64, u64)>,
    /// What contradicts what was said before.
    wrong: Vec<String>,
}

impl Ledger {
    /// Begins to write and to watch.
    pub fn begin(door: &Door, pace: Pace) -> Ledger {
        let told = Arc::new(Told::default());
        let writers = (0..pace.writers).map(|number| {
            let (door, told) = (door.clone(), told.clone());
            std::thread::spawn(move || Writer::new(number, pace).run(&door, &told))
        });
        let writers = writers.collect();
        let watcher = {
            let (door, told) = (door.clone(), told.clone());
            std::thread::spawn(move || watch(&door, &told))
        };
        Ledger {
            door: door.clone(),
            told,
            writers,
            watcher,
        }
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.told.acknowledged.load(Ordering::SeqCst)
    }

    /// The revision of the last acknowledged write.
    pub fn revision(&self) -> u64 {
        self.told.revision.load(Ordering::SeqCst)
    }

    /// Compares what is there with what was told, while writers go on; the
    /// revision of what is there.
    ///
    /// # Panics
    /// When something is lost.
    #[track_caller]
    pub fn check(&self) -> u64 {
        let mut known = self.told.books().clone();
        let (revision, objects) = try_list(&self.door).expect("a list");
        // What is being deleted meanwhile may be there or not.
        let now = self.told.books().created.clone();
        known.created.retain(|name| now.contains(name));
        known.compare(&objects);
        revision
    }

    /// Ends writers and watcher, compares everything, and says how many
    /// writes were acknowledged.
    ///
    /// # Panics
    /// When something is lost or was not watched.
    #[track_caller]
    pub fn close(self) -> u64 {
        self.told.stop.store(true, Ordering::SeqCst);
        for writer in self.writers {
            writer.join().expect("a writer");
        }
        let seen = self.watcher.join().expect("the watcher");
        let (_, objects) = try_list(&self.door).expect("a list");
        self.told.books().compare(&objects);
        let unseen: Vec<_> = objects
            .keys()
            .filter(|name| name.starts_with('w') && !seen.contains(*name))
            .collect();
        assert!(unseen.is_empty(), "the watch missed {unseen:?}");
        self.told.acknowledged.load(Ordering::SeqCst)
    }
}

impl Books {
    #[track_caller]
    fn compare(&self, objects: &BTreeMap<String, Value>) {
        let is_there = |name: &&String| objects.contains_key(*name);
        let lost: Vec<_> = self.created.iter().filter(|name| !is_there(name)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        let back: Vec<_> = self.deleted.iter().filter(is_there).collect();
        assert!(back.is_empty(), "deleted and there again: {back:?}");
        for (name, (value, revision)) in &self.counters {
            let object = &objects[name];
            let found: u64 = text(&object["data"]["n"]).parse().expect("a number");
            assert!(found >= *value, "{name} went from {value} back to {found}");
            assert!(revision_of(object) >= *revision, "{name}: {object}");
        }
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

impl Told {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// A server that is about to be ready may refuse, but not contradict itself.
    fn refused(&self, what: &str, code: u16) {
        if !matches!(code, 403 | 429 | 500 | 503 | 504) {
            self.books().wrong.push(format!("{what}: {code}"));
        }
    }
}

/// One writer: it creates objects, deletes old ones and raises a counter.
struct Writer {
    number: usize,
    pace: Pace,
    count: u64,
    /// The revision that it was told last.
    last: u64,
    /// Its objects, oldest first.
    own: std::collections::VecDeque<String>,
}

impl Writer {
    fn new(number: usize, pace: Pace) -> Writer {
        Writer {
            number,
            pace,
            count: 0,
            last: 0,
            own: std::collections::VecDeque::new(),
        }
    }

    /// Writes until told to stop.
    fn run(&mut self, door: &Door, told: &Told) {
        let mut wire = None;
        while !told.stopped() {
            let Some(open) = connection(&mut wire, door) else {
                continue;
            };
            self.count += 1;
            let done = match self.count % 2 {
                _ if self.own.len() > self.pace.kept => self.delete(open, told),
                0 => self.create(open, told),
                _ => self.raise(open, told),
            };
            if done.is_err() {
                wire = None;
            }
            std::thread::sleep(self.pace.rest);
        }
    }

    fn create(&mut self, wire: &mut Wire, told: &Told) -> std::io::Result<()> {
        let name = format!("w{}-{}", self.number, self.count);
        let reply = wire.ask("POST", CONFIG_MAPS, &config_map(&name, 0, ""))?;
        if reply.code != 201 {
            told.refused(&format!("creating {name}"), reply.code);
            return Ok(());
        }
        told.books().created.insert(name.clone());
        self.own.push_back(name);
        self.acknowledge(told, revision_of(&reply.json()));
        Ok(())
    }

    /// From now on nobody knows whether it is there, until that is acknowledged.
    fn delete(&mut self, wire: &mut Wire, told: &Told) -> std::io::Result<()> {
        let Some(name) = self.own.pop_front() else {
            return Ok(());
        };
        told.books().created.remove(&name);
        let reply = wire.ask("DELETE", &format!("{CONFIG_MAPS}/{name}"), "")?;
        match reply.code {
            200 => {
                told.books().deleted.insert(name);
                told.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            code => told.refused(&format!("deleting {name}"), code),
        }
        Ok(())
    }

    fn raise(&mut self, wire: &mut Wire, told: &Told) -> std::io::Result<()> {
        let name = format!("counter-{}", self.number);
        let path = format!("{CONFIG_MAPS}/{name}");
        let found = wire.ask("GET", &path, "")?;
        let reply = match found.code {
            404 => wire.ask("POST", CONFIG_MAPS, &config_map(&name, self.count, ""))?,
            _ => {
                let object = found.json();
                let revision = text(&object["metadata"]["resourceVersion"]);
                wire.ask("PUT", &path, &config_map(&name, self.count, revision))?
            }
        };
        if !matches!(reply.code, 200 | 201) {
            told.refused(&format!("raising {name}"), reply.code);
            return Ok(());
        }
        let revision = revision_of(&reply.json());
        let known = (self.count, revision);
        told.books().counters.insert(name, known);
        self.acknowledge(told, revision);
        Ok(())
    }

    fn acknowledge(&mut self, told: &Told, revision: u64) {
        if revision <= self.last {
            let wrong = format!("revision {revision} came after {}", self.last);
            told.books().wrong.push(wrong);
        }
        self.last = revision;
        told.revision.fetch_max(revision, Ordering::SeqCst);
        told.acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

fn connection<'a>(wire: &'a mut Option<Wire>, door: &Door) -> Option<&'a mut Wire> {
    if wire.is_none() {
        *wire = door.enter().ok();
        if wire.is_none() {
            // The server is dead; it comes back.
            std::thread::sleep(ABSENCE);
        }
    }
    wire.as_mut()
}

/// Follows all objects from the beginning; what it has seen when writers have
/// stopped and nothing more comes.
fn watch(door: &Door, told: &Told) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut from = 0;
    loop {
        if from == 0 {
            let Some((revision, objects)) = try_list(door) else {
                std::thread::sleep(ABSENCE);
                continue;
            };
            seen.extend(objects.into_keys());
            from = revision;
        }
        let path = format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}");
        let quiet = match door.watch(&path) {
            Ok(mut events) => follow(&mut events, &mut seen, &mut from, told),
            Err(_) => {
                std::thread::sleep(ABSENCE);
                false
            }
        };
        if quiet && told.stopped() {
            return seen;
        }
    }
}

/// Whether it ended because nothing more came.
fn follow(events: &mut Events, seen: &mut BTreeSet<String>, from: &mut u64, told: &Told) -> bool {
    let _ = events.set_patience(QUIET);
    loop {
        let event = match events.event() {
            Ok(Some(event)) => event,
            Ok(None) => return false,
            Err(error) => return matches!(error.kind(), ErrorKind::WouldBlock),
        };
        let object = &event["object"];
        if event["type"] == "ERROR" {
            // Expired: from the beginning, as clients do.
            if object["code"] != 410 {
                told.books().wrong.push(format!("the watch said {event}"));
            }
            *from = 0;
            return false;
        }
        let revision = revision_of(object);
        if revision <= *from {
            let wrong = format!("the watch went from {from} to {revision}");
            told.books().wrong.push(wrong);
        }
        *from = revision;
        seen.insert(text(&object["metadata"]["name"]).to_string());
    }
}

/// The revision of the list and its objects by name.
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
