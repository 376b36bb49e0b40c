//! The owner of tasks: each has a name, all end when told, none dies unseen.
//!
//! A supervisor has tasks and children (supervisors of parts). Shutdown goes
//! from the youngest child to the oldest and then to the supervisor's own
//! tasks, so that what was started last, and may lean on what was there
//! before, ends first.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// What the end of a task means before shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// The process cannot go on without it: its end, by return or by panic,
    /// is a [`Failure`].
    Essential,
    /// It may return; a panic is reported and the rest goes on.
    Ordinary,
}

/// An essential task that ended before it was told to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The task's name, below its supervisors' names.
    pub task: String,
    /// The panic's message, or none if the task returned.
    pub panic: Option<String>,
}

/// A handle to a group of tasks. Clones are the same group.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    token: CancellationToken,
    failure: watch::Sender<Option<Failure>>,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    next_id: u64,
    tasks: BTreeMap<u64, Task>,
    children: Vec<Supervisor>,
}

struct Task {
    name: String,
    handle: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new(name: impl Into<String>) -> Self {
        Self::with(
            name.into(),
            CancellationToken::new(),
            watch::channel(None).0,
        )
    }

    /// A supervisor for a part, which ends with, and before, this one. Its
    /// failures are this one's failures.
    pub fn child(&self, name: &str) -> Self {
        let name = format!("{}/{name}", self.inner.name);
        // Not a child token: the parent's shutdown goes through its children
        // in order instead of cancelling all at once.
        let child = Self::with(name, CancellationToken::new(), self.inner.failure.clone());
        let mut members = self.members();
        if self.inner.token.is_cancelled() {
            child.inner.token.cancel();
        }
        members.children.retain(|child| !child.is_forgotten());
        members.children.push(child.clone());
        child
    }

    /// The token that tells this supervisor's tasks to end.
    pub fn token(&self) -> CancellationToken {
        self.inner.token.clone()
    }

    /// Runs a task that is simply dropped, wherever it waits, at shutdown.
    pub fn spawn<F>(&self, name: impl Into<String>, importance: Importance, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.token();
        self.start(name.into(), importance, async move {
            token.run_until_cancelled(work).await;
        });
    }

    /// Runs a task that gets the token and at shutdown ends by itself, after
    /// it has put its affairs in order.
    pub fn spawn_graceful<F, W>(&self, name: impl Into<String>, importance: Importance, work: W)
    where
        W: FnOnce(CancellationToken) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let work = work(self.token());
        self.start(name.into(), importance, work);
    }

    /// The names of the tasks that run, those of children included.
    pub fn running(&self) -> Vec<String> {
        let members = self.members();
        let mut names: Vec<_> = members
            .tasks
            .values()
            .filter(|task| !task.handle.is_finished())
            .map(|task| task.name.clone())
            .collect();
        names.extend(members.children.iter().flat_map(Self::running));
        names
    }

    /// Waits until an essential task of this supervisor, its parents or its
    /// children ends before its time.
    pub async fn failed(&self) -> Failure {
        let mut failure = self.inner.failure.subscribe();
        loop {
            if let Some(failure) = failure.borrow_and_update().clone() {
                return failure;
            }
            // The sender lives in `self`, so this cannot fail.
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Ends everything in order. Each supervisor's tasks have `grace` to end;
    /// then they are aborted, and their names returned.
    pub async fn shutdown(&self, grace: Duration) -> Vec<String> {
        let mut late = Vec::new();
        self.shutdown_into(grace, &mut late).await;
        late
    }

    fn shutdown_into<'a>(
        &'a self,
        grace: Duration,
        late: &'a mut Vec<String>,
    ) -> BoxFuture<'a, ()> {
        async move {
            while let Some(child) = self.take_child() {
                child.shutdown_into(grace, late).await;
            }
            self.inner.token.cancel();
            let tasks = std::mem::take(&mut self.members().tasks);
            let deadline = tokio::time::sleep(grace);
            tokio::pin!(deadline);
            for mut task in tasks.into_values() {
                tokio::select! {
                    biased;
                    _ = &mut task.handle => continue,
                    () = &mut deadline => {}
                }
                task.handle.abort();
                tracing::warn!(task = %task.name, "task did not end in time and was aborted");
                late.push(task.name);
                // An aborted task ends at its next await; one that blocks its
                // thread never does, and is left behind.
                let patience = Duration::from_millis(100);
                let _ = tokio::time::timeout(patience, task.handle).await;
                deadline.set(tokio::time::sleep(Duration::ZERO));
            }
        }
        .boxed()
    }

    fn with(
        name: String,
        token: CancellationToken,
        failure: watch::Sender<Option<Failure>>,
    ) -> Self {
        let members = Mutex::default();
        Self {
            inner: Arc::new(Inner {
                name,
                token,
                failure,
                members,
            }),
        }
    }

    /// Whether nobody holds this child any more and nothing runs in it.
    fn is_forgotten(&self) -> bool {
        let members = self.members();
        Arc::strong_count(&self.inner) == 1
            && members.tasks.is_empty()
            && members.children.iter().all(Self::is_forgotten)
    }

    fn take_child(&self) -> Option<Self> {
        self.members().children.pop()
    }

    fn members(&self) -> MutexGuard<'_, Members> {
        self.inner
            .members
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn start<F>(&self, name: String, importance: Importance, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let name = format!("{}/{name}", self.inner.name);
        let inner = Arc::downgrade(&self.inner);
        let failure = self.inner.failure.clone();
        let token = self.token();
        let mut members = self.members();
        let id = members.next_id;
        members.next_id += 1;
        let task_name = name.clone();
        let handle = tokio::spawn(async move {
            let outcome = AssertUnwindSafe(work).catch_unwind().await;
            let panic = outcome.err().map(|payload| panic_message(&*payload));
            report(&task_name, importance, panic, &token, &failure);
            if let Some(inner) = inner.upgrade() {
                let mut members = inner.members.lock().unwrap_or_else(PoisonError::into_inner);
                members.tasks.remove(&id);
            }
        });
        members.tasks.insert(id, Task { name, handle });
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("name", &self.inner.name)
            .field("running", &self.running())
            .finish()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.panic {
            Some(message) => write!(f, "task {} panicked: {message}", self.task),
            None => write!(f, "task {} ended before it was told to", self.task),
        }
    }
}

impl std::error::Error for Failure {}

fn report(
    task: &str,
    importance: Importance,
    panic: Option<String>,
    token: &CancellationToken,
    failure: &watch::Sender<Option<Failure>>,
) {
    if let Some(message) = &panic {
        tracing::error!(task, message, "task panicked");
    }
    let early = panic.is_some() || !token.is_cancelled();
    if importance == Importance::Essential && early {
        let task = task.to_owned();
        failure.send_if_modified(|first| {
            let is_first = first.is_none();
            first.get_or_insert(Failure { task, panic });
            is_first
        });
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(10);

    fn noting(
        log: &Arc<Mutex<Vec<&'static str>>>,
        what: &'static str,
    ) -> impl FnOnce(CancellationToken) -> BoxFuture<'static, ()> + use<> {
        let log = log.clone();
        move |token| {
            async move {
                token.cancelled().await;
                log.lock().unwrap().push(what);
            }
            .boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn shutdown_is_in_reverse_order_of_birth() {
        let log = Arc::default();
        let root = Supervisor::new("root");
        let store = root.child("store");
        let server = root.child("server");
        server.spawn_graceful("accept", Importance::Essential, noting(&log, "server"));
        store.spawn_graceful("writer", Importance::Essential, noting(&log, "store"));
        root.spawn_graceful("signals", Importance::Ordinary, noting(&log, "root"));
        assert_eq!(
            root.running(),
            ["root/signals", "root/store/writer", "root/server/accept"]
        );
        assert_eq!(root.shutdown(GRACE).await, Vec::<String>::new());
        assert_eq!(*log.lock().unwrap(), ["server", "store", "root"]);
        assert_eq!(root.running(), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn essential_end_is_a_failure() {
        let root = Supervisor::new("root");
        root.child("a")
            .spawn("ordinary", Importance::Ordinary, async { panic!("seen") });
        root.child("b")
            .spawn("vital", Importance::Essential, async {
                panic!("gone {}", 7)
            });
        let failure = root.failed().await;
        assert_eq!(failure.to_string(), "task root/b/vital panicked: gone 7");

        let root = Supervisor::new("root");
        root.spawn("vital", Importance::Essential, async {});
        let failure = root.failed().await;
        assert_eq!(
            failure.to_string(),
            "task root/vital ended before it was told to"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn late_tasks_are_named_and_aborted() {
        let root = Supervisor::new("root");
        let deaf = |_token| std::future::pending();
        root.spawn_graceful("deaf", Importance::Ordinary, deaf);
        root.spawn_graceful("mute", Importance::Ordinary, deaf);
        assert_eq!(root.shutdown(GRACE).await, ["root/deaf", "root/mute"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_starts_after_shutdown_ends_at_once() {
        let root = Supervisor::new("root");
        root.shutdown(GRACE).await;
        let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
        root.child("late")
            .spawn("task", Importance::Essential, async move {
                let _keep = sender;
                std::future::pending::<()>().await;
            });
        assert!(receiver.await.is_err(), "the task was dropped");
    }
}
