//! What goes on while processes die: execs into counted pods, and requests to
//! a Service. They may fail, but not answer wrongly, and at rest they work.

use crate::books::Books;
use crate::house::WEB;
use e2e::wire::Door;
use e2e::{Kubectl, eventually, exec, fetch, patiently};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long clients rest between two requests.
const REST: Duration = Duration::from_millis(50);
/// So many requests in a row that work are a sign of peace.
const IN_A_ROW: u64 = 3;

/// Clients at work.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    execs: Tally,
    requests: Tally,
    /// The pod that is executed in.
    pod: Mutex<String>,
    wrong: Mutex<Vec<String>>,
}

#[derive(Default)]
struct Tally {
    good: AtomicU64,
    failed: AtomicU64,
    in_a_row: AtomicU64,
    /// Why it failed last.
    why: Mutex<String>,
}

impl Tally {
    fn note<T>(&self, result: &std::io::Result<T>) {
        if let Err(error) = result {
            self.failed.fetch_add(1, Ordering::SeqCst);
            self.in_a_row.store(0, Ordering::SeqCst);
            *lock(&self.why) = error.to_string();
        } else {
            self.good.fetch_add(1, Ordering::SeqCst);
            self.in_a_row.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[track_caller]
    fn must_work(&self, what: &str) {
        self.in_a_row.store(0, Ordering::SeqCst);
        patiently(
            what,
            || {
                (
                    self.in_a_row.load(Ordering::SeqCst),
                    lock(&self.why).clone(),
                )
            },
            |(in_a_row, _)| *in_a_row >= IN_A_ROW,
        );
    }

    fn say(&self) -> String {
        let (good, failed) = (&self.good, &self.failed);
        format!(
            "{} good and {} failed",
            good.load(Ordering::SeqCst),
            failed.load(Ordering::SeqCst)
        )
    }
}

impl Load {
    /// Begins.
    pub fn begin(door: &Door, kubectl: &Kubectl, books: &Books) -> Load {
        let shared = Arc::new(Shared::default());
        let address = eventually("the address of the Service", || {
            let path = format!("get service {WEB} -o jsonpath='{{.spec.clusterIP}}'");
            Some(kubectl.run(&path).stdout).filter(|address| !address.is_empty())
        });
        let requests = {
            let shared = shared.clone();
            std::thread::spawn(move || request(&shared, &address))
        };
        let execs = {
            let (shared, door) = (shared.clone(), door.clone());
            std::thread::spawn(move || execute(&shared, &door))
        };
        let load = Load {
            shared,
            threads: vec![requests, execs],
        };
        load.execute_in(books);
        load
    }

    /// Executes in one of these pods from now on.
    pub fn execute_in(&self, books: &Books) {
        *lock(&self.shared.pod) = books.pods().pop_first().unwrap_or_default();
    }

    /// Waits until requests and execs work.
    #[track_caller]
    pub fn must_work(&self) {
        self.shared.execs.must_work("execs work");
        self.shared.requests.must_work("the Service answers");
        let wrong = lock(&self.shared.wrong);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Ends, and says what was done.
    pub fn end(self) -> String {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            thread.join().expect("a client");
        }
        let (execs, requests) = (self.shared.execs.say(), self.shared.requests.say());
        format!("of execs {execs}, of requests {requests}")
    }
}

fn request(shared: &Shared, address: &str) {
    while !shared.stop.load(Ordering::SeqCst) {
        let answer = fetch(address, 80, "/healthz");
        shared.requests.note(&answer);
        std::thread::sleep(REST);
    }
}

fn execute(shared: &Shared, door: &Door) {
    let mut count = 0_u64;
    while !shared.stop.load(Ordering::SeqCst) {
        count += 1;
        let pod = lock(&shared.pod).clone();
        let word = format!("word-{count}");
        let said = exec::run(door, "default", &pod, &["echo", &word]);
        shared.execs.note(&said);
        if let Some(said) = said.ok().filter(|said| said.trim() != word) {
            lock(&shared.wrong).push(format!("{said:?} instead of {word}"));
        }
        std::thread::sleep(REST);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
