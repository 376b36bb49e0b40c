//! Pods of which every death is counted: a container that was not killed is
//! the same process as ever, and one that was killed has been restarted once.

use crate::processes::{Processes, sleeps_for};
use e2e::machine::{command_line, kill, parent};
use e2e::{Cluster, Kubectl, patiently, pod, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How many such pods there are.
const PODS: usize = 5;
/// A container that died so often waits long for its next start.
const WORN: u64 = 2;
/// How much of the log is shown when something is wrong.
const LINES: usize = 200;
/// How often it is looked for containers that run twice.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// What is known of each container.
pub struct Books {
    instance: String,
    /// By the time for which a container sleeps, which no other has.
    entries: BTreeMap<String, Entry>,
    /// Processes that were killed, which may take a moment to die.
    killed: BTreeSet<u32>,
    next: u64,
    watchman: Watchman,
}

/// A container.
#[derive(Clone, Debug)]
struct Entry {
    pod: String,
    container: &'static str,
    /// How often it was killed while it ran.
    deaths: u64,
    /// How often its server or monitor was killed while it did not run: it may
    /// have been made and not yet started, and is then made again.
    unsure: u64,
    /// Its process at the last rest.
    process: Option<u32>,
}

impl Books {
    /// Makes the pods and waits until they run.
    pub fn open(cluster: &Cluster, kubectl: &Kubectl) -> Books {
        let instance = cluster.instance();
        let mut books = Books {
            watchman: Watchman::begin(instance.clone()),
            instance,
            entries: BTreeMap::new(),
            killed: BTreeSet::new(),
            next: 0,
        };
        for _ in 0..PODS {
            books.add(kubectl);
        }
        books.check(cluster, kubectl);
        books
    }

    /// The names of the pods that are counted now.
    pub fn pods(&self) -> BTreeSet<String> {
        self.entries.values().map(|one| one.pod.clone()).collect()
    }

    fn add(&mut self, kubectl: &Kubectl) {
        self.next += 1;
        let name = format!("counted-{}", self.next);
        // Its containers sleep for times that nobody else sleeps for.
        let time = |part: u64| format!("{}{:04}{part}", std::process::id(), self.next);
        let (first, second) = (time(1), time(2));
        let shared = self.next.is_multiple_of(3);
        kubectl.apply(&pod(
            &name,
            &format!(
                "
                shareProcessNamespace: {shared}
                containers:
                - {{name: main, image: busybox:1.35, command: [sleep, '{first}']}}
                - {{name: side, image: busybox:1.35, command: [sleep, '{second}']}}
                "
            ),
        ));
        for (time, container) in [(first, "main"), (second, "side")] {
            let entry = Entry {
                pod: name.clone(),
                container,
                deaths: 0,
                unsure: 0,
                process: None,
            };
            self.entries.insert(time, entry);
        }
    }

    /// Kills a process of a container. Whatever it is, if it is counted, that
    /// is a death.
    pub fn kill_contained(&mut self, pid: u32) {
        let time = sleeps_for(pid);
        // A process that has not executed its program yet may be anybody's.
        let line = command_line(pid);
        if line.is_empty() || line.contains(" monitor ") {
            self.anybody_dies();
        }
        if self.killed.contains(&pid) || !kill(pid) {
            return;
        }
        self.killed.insert(pid);
        if let Some(entry) = time.and_then(|time| self.entries.get_mut(&time)) {
            entry.deaths += 1;
        }
    }

    /// Kills a monitor, or the holder of a process namespace; all containers
    /// die with it.
    pub fn kill_monitor(&mut self, pid: u32) {
        let now = Processes::of_instance(&self.instance);
        let monitor = now.monitor_of(pid);
        let sleepers = now.sleepers();
        let mut dead = BTreeSet::new();
        for (time, pids) in &sleepers {
            let own = pids.iter().filter(|pid| parent(**pid) == Some(monitor));
            for own in own.filter(|pid| !self.killed.contains(pid)) {
                dead.insert((time.clone(), *own));
            }
        }
        if self.killed.contains(&pid) || !kill(pid) {
            return;
        }
        self.killed.extend([pid, monitor]);
        let mut pods = BTreeSet::new();
        let by_its_holder = pid != monitor;
        for (time, process) in dead {
            self.killed.insert(process);
            if let Some(entry) = self.entries.get_mut(&time) {
                entry.deaths += 1;
                pods.insert(entry.pod.clone());
                // A monitor that ends because its holder has died may be asked
                // to start the container again before it is gone.
                entry.unsure += u64::from(by_its_holder);
            }
        }
        // Of a monitor without containers it is not known whose it is.
        let is_any = pods.is_empty();
        self.doubt(&sleepers, |entry| is_any || pods.contains(&entry.pod));
    }

    /// The server is about to be killed: what does not run just now may have
    /// been made already.
    pub fn server_dies(&mut self) {
        self.anybody_dies();
    }

    /// Somebody is about to be killed, and it is not known whose he is: whose
    /// container does not run just now.
    fn anybody_dies(&mut self) {
        let sleepers = Processes::of_instance(&self.instance).sleepers();
        self.doubt(&sleepers, |_| true);
    }

    fn doubt(&mut self, sleepers: &BTreeMap<String, Vec<u32>>, whom: impl Fn(&Entry) -> bool) {
        let killed = &self.killed;
        let runs = |time: &String| {
            let pids = sleepers.get(time).into_iter().flatten();
            pids.clone().any(|pid| !killed.contains(pid))
        };
        for (time, entry) in &mut self.entries {
            if whom(entry) && !runs(time) {
                entry.unsure += 1;
            }
        }
    }

    /// Waits until all containers run, and compares them with what was done.
    #[track_caller]
    pub fn check(&mut self, cluster: &Cluster, kubectl: &Kubectl) {
        let pods = self.pods();
        let found = patiently(
            "all counted pods are ready",
            || states(kubectl),
            |found| {
                pods.iter()
                    .all(|pod| found.get(pod).is_some_and(|one| one.ready))
            },
        );
        let sleepers = Processes::of_instance(&self.instance).sleepers();
        for (time, entry) in &mut self.entries {
            let who = format!("{} of {}", entry.container, entry.pod);
            let state = &found[&entry.pod];
            let restarts = state.restarts[entry.container];
            let right = entry.deaths..=entry.deaths + entry.unsure;
            assert!(
                right.contains(&restarts),
                "{who} was restarted {restarts} times instead of {right:?}: {entry:?}, {}, {}",
                state.told,
                evidence(cluster, kubectl, &entry.pod)
            );
            let processes = sleepers.get(time).cloned().unwrap_or_default();
            let [process] = processes[..] else {
                panic!("{who} has the processes {processes:?}");
            };
            if let Some(before) = entry.process.filter(|_| restarts == 0) {
                assert_eq!(
                    process, before,
                    "{who} was not killed and is another process"
                );
            }
            entry.process = Some(process);
        }
        self.watchman.check();
    }

    /// Replaces pods that died often.
    pub fn replace_the_worn(&mut self, kubectl: &Kubectl) {
        let worn = self.entries.values().filter(|one| one.deaths >= WORN);
        let worn: BTreeSet<String> = worn.map(|one| one.pod.clone()).collect();
        for name in worn {
            kubectl.ok(&format!("delete pod {name} --timeout=60s"));
            let gone: Vec<String> = self.times_of(&name);
            self.entries.retain(|_, entry| entry.pod != name);
            until("its processes are gone", || {
                let sleepers = Processes::of_instance(&self.instance).sleepers();
                !gone.iter().any(|time| sleepers.contains_key(time))
            });
            self.add(kubectl);
        }
    }

    fn times_of(&self, pod: &str) -> Vec<String> {
        let own = self.entries.iter().filter(|(_, entry)| entry.pod == pod);
        own.map(|(time, _)| time.clone()).collect()
    }

    /// Ends the watch.
    pub fn close(self) {
        self.watchman.end();
    }
}

/// A pod's events, and the end of the server's log.
fn evidence(cluster: &Cluster, kubectl: &Kubectl, pod: &str) -> String {
    let events = kubectl.ok(&format!("events --for=pod/{pod}"));
    let log = cluster.log();
    let lines: Vec<&str> = log.lines().rev().take(LINES).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    format!("{events}\n{}", lines.join("\n"))
}

/// What a pod's status says.
#[derive(Debug)]
struct State {
    ready: bool,
    restarts: BTreeMap<String, u64>,
    /// All that it says of containers.
    told: Value,
}

fn states(kubectl: &Kubectl) -> BTreeMap<String, State> {
    let said = kubectl.run("get pods -o json").stdout;
    let pods: Value = serde_json::from_str(&said).unwrap_or_default();
    let pods = pods["items"].as_array().into_iter().flatten();
    let named = pods.filter_map(|pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let restarts = statuses.iter().filter_map(|status| {
            let name = status["name"].as_str()?.to_string();
            Some((name, status["restartCount"].as_u64()?))
        });
        let state = State {
            ready: statuses.iter().all(|status| status["ready"] == true),
            restarts: restarts.collect(),
            told: pod["status"]["containerStatuses"].clone(),
        };
        Some((pod["metadata"]["name"].as_str()?.to_string(), state))
    });
    named.collect()
}

/// Looks all the time for containers that run twice.
struct Watchman {
    stop: Arc<AtomicBool>,
    twice: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<()>,
}

impl Watchman {
    fn begin(instance: String) -> Watchman {
        let (stop, twice) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thread = {
            let (stop, twice) = (stop.clone(), Arc::clone(&twice));
            std::thread::spawn(move || look(&instance, &stop, &twice))
        };
        Watchman {
            stop,
            twice,
            thread,
        }
    }

    #[track_caller]
    fn check(&self) {
        let twice = self.twice.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(twice.is_empty(), "containers ran twice: {twice:#?}");
    }

    fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.check();
        self.thread.join().expect("the watchman");
    }
}

fn look(instance: &str, stop: &AtomicBool, twice: &Mutex<Vec<String>>) {
    while !stop.load(Ordering::SeqCst) {
        for (time, pids) in Processes::of_instance(instance).sleepers() {
            // The list is read one by one: both must still be there.
            let there = pids.iter().filter(|pid| sleeps_for(**pid).is_some());
            if there.count() > 1 {
                let mut twice = twice.lock().unwrap_or_else(PoisonError::into_inner);
                twice.push(format!("sleep {time}: {pids:?}"));
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
