//! The runtime of controllers: takes keys from a queue, has them looked at, and decides what comes
//! of the outcome.

use crate::queue::Queue;
use futures::FutureExt;
use futures::future::join_all;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// An error of which only the text matters.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What shall happen to a key that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing, until something changes.
    Done,
    /// Look again after this time even if nothing changes.
    After(Duration),
    /// Look again soon, later each time, without this being an error.
    Again,
}

/// Looks at a key: compares what should be with what is, and takes the steps between.
#[async_trait::async_trait]
pub trait Reconcile<K>: Send + Sync {
    /// Looks at a key. An error has the key looked at again, later each time.
    async fn reconcile(&self, key: &K) -> Result<Action, BoxError>;
}

/// How keys are worked on.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// How many keys at the same time.
    pub count: usize,
    /// After how many failures a key is dropped until something changes; never if absent.
    pub failures_max: Option<u32>,
}

impl Workers {
    /// So many keys at the same time, none ever dropped.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            failures_max: None,
        }
    }

    /// Drops a key after so many failures.
    #[must_use]
    pub fn failures_max(self, failures: u32) -> Self {
        Self {
            failures_max: Some(failures),
            ..self
        }
    }
}

/// Works on a queue's keys until it is dropped. All workers run within this one future.
pub async fn run<K>(queue: Queue<K>, workers: Workers, reconciler: Arc<dyn Reconcile<K>>)
where
    K: Ord + Clone + std::fmt::Display + Send + Sync,
{
    join_all((0..workers.count.max(1)).map(|_| work(&queue, workers, &*reconciler))).await;
}

async fn work<K>(queue: &Queue<K>, workers: Workers, reconciler: &dyn Reconcile<K>)
where
    K: Ord + Clone + std::fmt::Display + Send + Sync,
{
    loop {
        let key = queue.get().await;
        let outcome = AssertUnwindSafe(reconciler.reconcile(&key))
            .catch_unwind()
            .await;
        settle(queue, workers, &key, outcome);
        queue.done(&key);
    }
}

fn settle<K>(
    queue: &Queue<K>,
    workers: Workers,
    key: &K,
    outcome: Result<Result<Action, BoxError>, Box<dyn Any + Send>>,
) where
    K: Ord + Clone + std::fmt::Display,
{
    let controller = queue.name();
    match outcome {
        Ok(Ok(Action::Done)) => queue.forget(key),
        Ok(Ok(Action::After(delay))) => {
            queue.forget(key);
            queue.add_after(key.clone(), delay);
        }
        Ok(Ok(Action::Again)) => queue.add_rate_limited(key.clone()),
        Ok(Err(error)) => {
            let error = client::chain(&*error);
            if workers
                .failures_max
                .is_some_and(|most| queue.failures(key) >= most)
            {
                tracing::error!(controller, %key, error, "reconciliation failed too often, dropping the key");
                queue.forget(key);
                return;
            }
            // The first failures are mostly conflicts with a cache that lags behind.
            if queue.failures(key) < 5 {
                tracing::debug!(controller, %key, error, "reconciliation failed, will try again");
            } else {
                tracing::warn!(controller, %key, error, "reconciliation failed, will try again");
            }
            queue.add_rate_limited(key.clone());
        }
        Err(panic) => {
            let message = panic_message(&*panic);
            tracing::error!(controller, %key, message, "reconciliation panicked");
            queue.count_panic();
            queue.add_rate_limited(key.clone());
        }
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("panic without a message")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use std::sync::Mutex;
    use stdx::{Clock, Importance, Supervisor, Timestamp};

    struct Script {
        log: Mutex<Vec<String>>,
    }

    #[async_trait::async_trait]
    impl Reconcile<String> for Script {
        async fn reconcile(&self, key: &String) -> Result<Action, BoxError> {
            let count = {
                let mut log = self.log.lock().unwrap();
                log.push(key.clone());
                log.iter().filter(|seen| *seen == key).count()
            };
            match (key.as_str(), count) {
                ("panics", 1) => panic!("on purpose"),
                ("fails", 1 | 2) => Err("not yet".into()),
                ("hopeless", _) => Err("never".into()),
                ("later", 1) => Ok(Action::After(Duration::from_secs(1))),
                _ => Ok(Action::Done),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_decide_whether_a_key_comes_back() {
        let metrics = Metrics::default();
        let queue = Queue::new("test", Clock::simulated(Timestamp::UNIX_EPOCH), &metrics);
        let script = Arc::new(Script {
            log: Mutex::default(),
        });
        let supervisor = Supervisor::new("test");
        let workers = Workers::new(2).failures_max(3);
        supervisor.spawn(
            "controller",
            Importance::Essential,
            run(queue.clone(), workers, script.clone()),
        );
        for key in ["panics", "fails", "hopeless", "later", "fine"] {
            queue.add(key.to_owned());
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let log = script.log.lock().unwrap().clone();
        let count = |key: &str| log.iter().filter(|seen| *seen == key).count();
        let counts = ["panics", "fails", "hopeless", "later", "fine"].map(count);
        assert_eq!(counts, [2, 3, 4, 2, 1]);
        let text = metrics.render();
        assert!(
            text.contains("workqueue_retries_total{name=\"test\"} 6\n"),
            "{text}"
        );
        assert!(
            text.contains("workqueue_panics_total{name=\"test\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("workqueue_depth{name=\"test\"} 0\n"),
            "{text}"
        );
    }
}
