//! The queue of pods that wait for a node.
//!
//! A pod is *active* (to be tried next), *backing off* (tried again after a
//! while), *unschedulable* (waits for an event that may help) or *gated* (may
//! not be tried). An event moves the pods that it may help, and only those;
//! what an event may help is for the plugins that rejected a pod to say. A pod
//! that failed by an error rather than by a verdict is only tried again later.
//!
//! Follows pkg/scheduler/backend/queue: scheduling_queue.go, active_queue.go and
//! backoff_queue.go, including that an idle scheduler takes pods that still back
//! off from a verdict (SchedulerPopFromBackoffQ).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use stdx::{Clock, Instant};

use crate::config::Config;
use crate::framework::PluginSet;
use crate::plugins::priority_sort::SortKey;
use crate::pod::PodInfo;

/// Back-offs end at whole multiples of this, and pods that end together come in
/// the order of the active queue.
const WINDOW: Duration = Duration::from_secs(1);
/// How often pods that wait too long for an event are looked for.
const FLUSH_INTERVAL: Duration = Duration::from_secs(30);

type Uid = Arc<str>;
/// When a back-off ends, and the order among those that end together.
type BackoffKey = (Instant, SortKey);

/// All waiting pods.
pub struct Queue {
    clock: Clock,
    initial_backoff: Duration,
    max_backoff: Duration,
    max_in_unschedulable: Duration,
    entries: FxHashMap<Uid, Entry>,
    active: BTreeMap<SortKey, Uid>,
    backoff: BTreeMap<BackoffKey, Uid>,
    error_backoff: BTreeMap<BackoffKey, Uid>,
    unschedulable: BTreeMap<u64, Uid>,
    /// How many unschedulable pods each plugin rejected.
    rejections: [usize; u32::BITS as usize],
    next_flush: Instant,
    number: u64,
}

struct Entry {
    pod: Arc<PodInfo>,
    place: Place,
    number: u64,
    /// When the pod last came into the queue.
    since: Instant,
    attempts: u32,
    /// Verdicts against the pod, and errors since the last verdict.
    verdicts: u32,
    errors: u32,
    rejected_by: PluginSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active(SortKey),
    Backoff(BackoffKey),
    ErrorBackoff(BackoffKey),
    Unschedulable,
    Gated,
    InFlight,
}

/// How many pods wait where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// To be tried next.
    pub active: usize,
    /// To be tried again after a while.
    pub backoff: usize,
    /// Waiting for an event.
    pub unschedulable: usize,
    /// Not to be tried.
    pub gated: usize,
}

impl Queue {
    /// An empty queue.
    pub fn new(config: &Config, clock: Clock) -> Self {
        Self {
            initial_backoff: config.pod_initial_backoff,
            max_backoff: config.pod_max_backoff,
            max_in_unschedulable: config.pod_max_in_unschedulable,
            entries: FxHashMap::default(),
            active: BTreeMap::new(),
            backoff: BTreeMap::new(),
            error_backoff: BTreeMap::new(),
            unschedulable: BTreeMap::new(),
            rejections: [0; u32::BITS as usize],
            next_flush: clock.now() + FLUSH_INTERVAL,
            number: 0,
            clock,
        }
    }

    /// The pod as the queue knows it.
    pub fn get(&self, uid: &str) -> Option<&Arc<PodInfo>> {
        self.entries.get(uid).map(|entry| &entry.pod)
    }

    /// Whether the pod was taken out and is neither done nor back.
    pub fn is_in_flight(&self, uid: &str) -> bool {
        self.place(uid) == Some(Place::InFlight)
    }

    /// Adds a new pod; a gated one waits until it is added without the gate.
    pub fn add(&mut self, pod: Arc<PodInfo>, gated: bool) {
        self.remove(&pod.uid);
        self.number += 1;
        let entry = Entry {
            place: Place::InFlight,
            number: self.number,
            since: self.clock.now(),
            attempts: 0,
            verdicts: 0,
            errors: 0,
            rejected_by: PluginSet::default(),
            pod,
        };
        let uid = Arc::clone(&entry.pod.uid);
        self.entries.insert(Arc::clone(&uid), entry);
        if gated {
            self.put(&uid, Place::Gated);
        } else {
            self.activate(&uid);
        }
    }

    /// Takes over a changed pod, which keeps its place. `helped` says of the
    /// plugins that rejected it whether the change may help.
    pub fn update(
        &mut self,
        pod: Arc<PodInfo>,
        gated: bool,
        helped: impl FnOnce(PluginSet) -> bool,
    ) {
        let uid = Arc::clone(&pod.uid);
        let Some(entry) = self.entries.get_mut(&uid) else {
            self.add(pod, gated);
            return;
        };
        let place = entry.place;
        let rejected_by = entry.rejected_by;
        entry.pod = pod;
        match place {
            Place::InFlight => {}
            Place::Gated if gated => {}
            Place::Gated => self.activate_or_back_off(&uid),
            _ if gated => self.put(&uid, Place::Gated),
            // The priority, and with it the place in line, may have changed.
            Place::Active(_) => self.activate(&uid),
            Place::Backoff(_) | Place::ErrorBackoff(_) => {}
            Place::Unschedulable if helped(rejected_by) => self.activate_or_back_off(&uid),
            Place::Unschedulable => {}
        }
    }

    /// Forgets a pod, wherever it is.
    pub fn remove(&mut self, uid: &str) {
        self.unlink(uid);
        self.entries.remove(uid);
    }

    /// The pod to be tried next. It is in flight until it is removed or comes
    /// back.
    pub fn pop(&mut self) -> Option<Arc<PodInfo>> {
        self.flush();
        let next = self.active.first_key_value().map(|(_, uid)| uid);
        let next = next.or_else(|| self.backoff.first_key_value().map(|(_, uid)| uid));
        let uid = Arc::clone(next?);
        self.put(&uid, Place::InFlight);
        let entry = self.entries.get_mut(&uid)?;
        entry.attempts += 1;
        entry.rejected_by = PluginSet::default();
        Some(Arc::clone(&entry.pod))
    }

    /// Takes a pod back that plugins rejected: it waits for an event.
    pub fn rejected(&mut self, uid: &str, by: PluginSet) {
        let now = self.clock.now();
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        entry.since = now;
        entry.verdicts += 1;
        entry.errors = 0;
        entry.rejected_by = by;
        self.put(uid, Place::Unschedulable);
    }

    /// Takes a pod back whose attempt failed by an error: it is tried again
    /// after a while.
    pub fn failed(&mut self, uid: &str) {
        let now = self.clock.now();
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        entry.since = now;
        entry.errors += 1;
        let key = self.backoff_key(uid);
        self.put(uid, Place::ErrorBackoff(key));
    }

    /// Whether any unschedulable pod was rejected by one of the plugins.
    pub fn any_rejected_by(&self, plugins: PluginSet) -> bool {
        plugins
            .iter()
            .any(|plugin| self.rejections[plugin as usize] > 0)
    }

    /// Moves unschedulable pods that an event may help: among those that the
    /// interested plugins rejected, the ones of which `helps` says so.
    pub fn move_helped(
        &mut self,
        interested: PluginSet,
        helps: impl Fn(&PodInfo, PluginSet) -> bool,
    ) {
        if !self.any_rejected_by(interested) {
            return;
        }
        let waiting = self.unschedulable.values();
        let helped = waiting.filter(|uid| {
            self.entries.get(*uid).is_some_and(|entry| {
                entry.rejected_by.meets(interested) && helps(&entry.pod, entry.rejected_by)
            })
        });
        let helped: Vec<Uid> = helped.cloned().collect();
        for uid in helped {
            self.activate_or_back_off(&uid);
        }
    }

    /// When the queue needs to be asked again though nothing happened.
    pub fn next_wakeup(&self) -> Option<Instant> {
        if !self.active.is_empty() || !self.backoff.is_empty() {
            return Some(self.clock.now());
        }
        let ready = self.error_backoff.first_key_value();
        let ready = ready.map(|((until, _), _)| *until + WINDOW);
        let flush = (!self.unschedulable.is_empty()).then_some(self.next_flush);
        ready.into_iter().chain(flush).min()
    }

    /// How many pods wait where.
    pub fn pending(&self) -> Pending {
        let gated = self.entries.values().filter(|e| e.place == Place::Gated);
        Pending {
            active: self.active.len(),
            backoff: self.backoff.len() + self.error_backoff.len(),
            unschedulable: self.unschedulable.len(),
            gated: gated.count(),
        }
    }

    /// Makes pods active whose back-off ended, and pods that waited for an
    /// event for too long.
    fn flush(&mut self) {
        let now = self.clock.now();
        while let Some(uid) = self.ended(&self.backoff, now) {
            self.activate(&uid);
        }
        while let Some(uid) = self.ended(&self.error_backoff, now) {
            self.activate(&uid);
        }
        if now < self.next_flush {
            return;
        }
        self.next_flush = now + FLUSH_INTERVAL;
        let overdue = self.unschedulable.values().filter(|uid| {
            let since = self.entries.get(*uid).map_or(now, |entry| entry.since);
            now - since > self.max_in_unschedulable
        });
        let overdue: Vec<Uid> = overdue.cloned().collect();
        for uid in overdue {
            self.activate_or_back_off(&uid);
        }
    }

    fn ended(&self, backoff: &BTreeMap<BackoffKey, Uid>, now: Instant) -> Option<Uid> {
        let ((until, _), uid) = backoff.first_key_value()?;
        (*until < aligned(now)).then(|| Arc::clone(uid))
    }

    fn activate_or_back_off(&mut self, uid: &str) {
        let tried = self
            .entries
            .get(uid)
            .is_some_and(|entry| entry.attempts > 0);
        let key = self.backoff_key(uid);
        if tried && key.0 >= aligned(self.clock.now()) {
            self.put(uid, Place::Backoff(key));
        } else {
            self.activate(uid);
        }
    }

    fn activate(&mut self, uid: &str) {
        let key = self.sort_key(uid);
        self.put(uid, Place::Active(key));
    }

    fn sort_key(&self, uid: &str) -> SortKey {
        match self.entries.get(uid) {
            Some(entry) => SortKey::new(entry.pod.priority(), entry.since, entry.number),
            None => SortKey::new(0, Instant::ORIGIN, 0),
        }
    }

    fn backoff_key(&self, uid: &str) -> BackoffKey {
        let until = self.entries.get(uid).map(|entry| {
            let failures = if entry.errors > 0 {
                entry.errors
            } else {
                entry.verdicts
            };
            aligned(entry.since + self.backoff_duration(failures))
        });
        (until.unwrap_or_default(), self.sort_key(uid))
    }

    fn backoff_duration(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let duration = self.initial_backoff.saturating_mul(1 << doublings);
        duration.min(self.max_backoff)
    }

    fn place(&self, uid: &str) -> Option<Place> {
        self.entries.get(uid).map(|entry| entry.place)
    }

    fn put(&mut self, uid: &str, place: Place) {
        self.unlink(uid);
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        entry.place = place;
        let uid = Arc::clone(&entry.pod.uid);
        match place {
            Place::Active(key) => drop(self.active.insert(key, uid)),
            Place::Backoff(key) => drop(self.backoff.insert(key, uid)),
            Place::ErrorBackoff(key) => drop(self.error_backoff.insert(key, uid)),
            Place::Unschedulable => {
                self.unschedulable.insert(entry.number, uid);
                for plugin in entry.rejected_by.iter() {
                    self.rejections[plugin as usize] += 1;
                }
            }
            Place::Gated | Place::InFlight => {}
        }
    }

    fn unlink(&mut self, uid: &str) {
        let Some(entry) = self.entries.get_mut(uid) else {
            return;
        };
        match std::mem::replace(&mut entry.place, Place::InFlight) {
            Place::Active(key) => drop(self.active.remove(&key)),
            Place::Backoff(key) => drop(self.backoff.remove(&key)),
            Place::ErrorBackoff(key) => drop(self.error_backoff.remove(&key)),
            Place::Unschedulable => {
                self.unschedulable.remove(&entry.number);
                for plugin in entry.rejected_by.iter() {
                    self.rejections[plugin as usize] -= 1;
                }
            }
            Place::Gated | Place::InFlight => {}
        }
    }
}

/// The beginning of the window that a time is in.
fn aligned(time: Instant) -> Instant {
    let since = time.since_origin();
    let within = since.as_nanos() % WINDOW.as_nanos();
    time - Duration::from_nanos(within as u64)
}

#[cfg(test)]
mod tests;
