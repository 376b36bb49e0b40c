//! The scheduler's hands: watches feed the core, its decisions go to the API
//! server.
//!
//! Watch handlers tell the core at once, under its lock, and wake the loop. The
//! loop asks for decisions; binders carry bindings out, many at a time, while
//! the loop goes on with the next pod; reporters write conditions and events,
//! those of one pod in order. What is under way is bounded everywhere: a slow
//! server slows the loop down.

mod bind;
mod feed;
mod pods;
mod report;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use client::Client;
use client::events::SeriesRecorder;
use informer::{Factory, Store};
use stdx::{Clock, Importance, Rng, Supervisor};
use tokio::sync::{Notify, mpsc};
use typed::api::core::v1::Pod;

use crate::config::{Config, ConfigError};
use crate::explain::Explanation;
use crate::pod::PodError;
use crate::queue::Pending;
use crate::scheduler::{Attempts, Decision, Scheduler};
use bind::{Binder, Binding};
use feed::Caches;
use pods::CachedPod;
use report::{Report, Reporter, Reports, SCHEDULING_GATED, UNSCHEDULABLE};

/// Bindings under way at once. The store commits many writers together, so
/// many in flight cost no more than one.
const BINDERS: usize = 128;
const BINDINGS_QUEUED: usize = 256;
const REPORTERS: usize = 8;
const REPORTS_QUEUED: usize = 256;
/// Decisions between two chances for other tasks.
const DECISIONS_PER_TURN: usize = 16;

/// What upstream's API server says of a gated pod.
const GATED_MESSAGE: &str = "Scheduling is blocked due to non-empty scheduling gates";

/// What the scheduler runs on.
pub struct Runner {
    /// Writes bindings, conditions and events, as `system:kube-scheduler`.
    pub client: Client,
    /// The caches to follow; share it with other loops of the process.
    pub factory: Factory,
    /// The clock.
    pub clock: Clock,
    /// Decides between nodes that are equally good.
    pub rng: Rng,
    /// The owner of all tasks.
    pub supervisor: Supervisor,
    /// The profile.
    pub config: Config,
}

/// A running scheduler, to be asked how it fares.
#[derive(Clone)]
pub struct Handle {
    core: Arc<Core>,
    profile: Arc<str>,
}

struct Core {
    scheduler: Mutex<Scheduler>,
    wake: Notify,
}

impl Runner {
    /// Starts the scheduler's tasks. Nothing is decided before all caches hold
    /// what the server has.
    pub fn start(self) -> Result<Handle, ConfigError> {
        let scheduler = Scheduler::new(&self.config, self.clock.clone(), self.rng.fork())?;
        let caches = Caches::of(&self.factory, scheduler.reader());
        let core = Arc::new(Core {
            scheduler: Mutex::new(scheduler),
            wake: Notify::new(),
        });
        caches.feed(&core);
        let recorder = self.recorder();
        let reports = self.reporters(&recorder, &caches.pods.store());
        let bindings = self.binders(&core, &recorder, &reports);
        let main = run(
            Arc::clone(&core),
            caches,
            self.clock.clone(),
            bindings,
            reports,
        );
        self.supervisor
            .spawn("scheduler", Importance::Essential, main);
        let profile = self.config.scheduler_name.into();
        Ok(Handle { core, profile })
    }

    fn recorder(&self) -> SeriesRecorder {
        let (recorder, writer) = SeriesRecorder::new(
            self.client.clone(),
            &self.config.scheduler_name,
            "",
            self.clock.clone(),
            self.rng.fork(),
        );
        self.supervisor
            .spawn("scheduler events", Importance::Ordinary, writer);
        recorder
    }

    fn reporters(&self, recorder: &SeriesRecorder, pods: &Store<CachedPod>) -> Reports {
        let reporter = |number: usize| {
            let (sender, mut queue) = mpsc::channel::<Report>(REPORTS_QUEUED);
            let reporter = Reporter {
                client: self.client.clone(),
                clock: self.clock.clone(),
                recorder: recorder.clone(),
                pods: pods.clone(),
            };
            let name = format!("scheduler reporter {number}");
            self.supervisor
                .spawn(name, Importance::Essential, async move {
                    while let Some(report) = queue.recv().await {
                        reporter.report(report).await;
                    }
                });
            sender
        };
        Reports((0..REPORTERS).map(reporter).collect())
    }

    fn binders(
        &self,
        core: &Arc<Core>,
        recorder: &SeriesRecorder,
        reports: &Reports,
    ) -> mpsc::Sender<Binding> {
        let (sender, queue) = mpsc::channel::<Binding>(BINDINGS_QUEUED);
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        for number in 0..BINDERS {
            let binder = Binder {
                client: self.client.clone(),
                core: Arc::clone(core),
                recorder: recorder.clone(),
                reports: reports.clone(),
            };
            let queue = Arc::clone(&queue);
            let name = format!("scheduler binder {number}");
            self.supervisor
                .spawn(name, Importance::Essential, async move {
                    loop {
                        // The lock is held for one receive, not for the binding.
                        let next = queue.lock().await.recv().await;
                        let Some(binding) = next else { return };
                        binder.bind(binding).await;
                    }
                });
        }
        sender
    }
}

impl Handle {
    /// How attempts to place pods went so far.
    pub fn attempts(&self) -> Attempts {
        self.core.lock().attempts()
    }

    /// What each plugin says of each node for a pod.
    pub fn explain(&self, pod: &Pod) -> Result<Explanation, PodError> {
        self.core.lock().explain(pod)
    }

    /// Counters under upstream's names (pkg/scheduler/metrics), as text.
    pub fn metrics(&self) -> String {
        let core = self.core.lock();
        let (attempts, pending) = (core.attempts(), core.pending());
        drop(core);
        let profile = &self.profile;
        let mut text = String::from("# TYPE scheduler_schedule_attempts_total counter\n");
        for (result, count) in [
            ("error", attempts.error),
            ("scheduled", attempts.scheduled),
            ("unschedulable", attempts.unschedulable),
        ] {
            let labels = format!("profile=\"{profile}\",result=\"{result}\"");
            text.push_str(&format!(
                "scheduler_schedule_attempts_total{{{labels}}} {count}\n"
            ));
        }
        text.push_str("# TYPE scheduler_pending_pods gauge\n");
        for (queue, count) in [
            ("active", pending.active),
            ("backoff", pending.backoff),
            ("gated", pending.gated),
            ("unschedulable", pending.unschedulable),
        ] {
            text.push_str(&format!(
                "scheduler_pending_pods{{queue=\"{queue}\"}} {count}\n"
            ));
        }
        text
    }

    /// How many pods wait where.
    pub fn pending(&self) -> Pending {
        self.core.lock().pending()
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, Scheduler> {
        // The core holds no promise that a panic elsewhere could break half-way.
        self.scheduler
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the core something and wakes the loop.
    fn tell<R>(&self, news: impl FnOnce(&mut Scheduler) -> R) -> R {
        let result = news(&mut self.lock());
        self.wake.notify_one();
        result
    }
}

/// The loop: decisions, for as long as there are any.
async fn run(
    core: Arc<Core>,
    caches: Caches,
    clock: Clock,
    bindings: mpsc::Sender<Binding>,
    reports: Reports,
) {
    caches.synced().await;
    loop {
        for _ in 0..DECISIONS_PER_TURN {
            // The lock ends here; what follows may wait.
            let decision = core.lock().next_decision();
            let idle = match decision {
                Decision::Bind { pod, node } => {
                    // Receivers live as long as this task.
                    let _ = bindings.send(Binding { pod, node }).await;
                    continue;
                }
                Decision::Unschedulable { pod, message, .. } => {
                    tracing::debug!(pod = pod.key(), message, "unschedulable");
                    reports
                        .send(Report::new(pod, UNSCHEDULABLE, message, true))
                        .await;
                    continue;
                }
                Decision::Gated { pod, message } => {
                    tracing::debug!(pod = pod.key(), message, "gated");
                    let message = GATED_MESSAGE.to_owned();
                    reports
                        .send(Report::new(pod, SCHEDULING_GATED, message, false))
                        .await;
                    continue;
                }
                Decision::Idle { wake_at } => wake_at,
            };
            match idle {
                None => core.wake.notified().await,
                Some(time) => tokio::select! {
                    biased;
                    () = core.wake.notified() => {}
                    () = clock.sleep_until(time) => {}
                },
            }
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests;
