//! The latest value of something, and who waits for another one.
//!
//! As tokio's `watch`, but those who wait are woken in the order in which they
//! began to wait. Tokio spreads them at random, which makes two runs of one
//! simulation differ.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Sets the value.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Reads the value, and knows which one it has seen.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    seen: u64,
}

/// The sender is gone: there will be no other value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender is gone")]
pub struct Gone;

#[derive(Debug)]
struct Shared<T> {
    state: Mutex<State<T>>,
    news: Notify,
    receivers: AtomicUsize,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    version: u64,
    is_over: bool,
}

impl<T: Clone> Sender<T> {
    /// A sender of a first value.
    pub fn new(value: T) -> Self {
        let state = State {
            value,
            version: 0,
            is_over: false,
        };
        let shared = Shared {
            state: Mutex::new(state),
            news: Notify::new(),
            receivers: AtomicUsize::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Sets the value and wakes all who wait.
    pub fn send_replace(&self, value: T) {
        self.send_modify(|present| *present = value);
    }

    /// Changes the value and wakes all who wait.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            change(value);
            true
        });
    }

    /// Changes the value, and wakes all who wait if `change` says that it did. Returns whether it
    /// did.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.shared.state();
        let is_news = change(&mut state.value);
        if is_news {
            state.version += 1;
            drop(state);
            self.shared.news.notify_waiters();
        }
        is_news
    }

    /// The value.
    pub fn get(&self) -> T {
        self.shared.state().value.clone()
    }

    /// A receiver that has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::of(&self.shared)
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Ordering::Acquire)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.news.notify_waiters();
    }
}

impl<T> Receiver<T> {
    fn of(shared: &Arc<Shared<T>>) -> Self {
        shared.receivers.fetch_add(1, Ordering::AcqRel);
        let seen = shared.state().version;
        Self {
            shared: shared.clone(),
            seen,
        }
    }

    /// Waits for a value that was not seen, and counts it as seen.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        // Who asks again and again, even after the end, lets others work too.
        tokio::task::coop::consume_budget().await;
        loop {
            let mut news = pin!(self.shared.news.notified());
            // From here on no change is missed.
            news.as_mut().enable();
            {
                let state = self.shared.state();
                if state.version != self.seen {
                    self.seen = state.version;
                    return Ok(());
                }
                if state.is_over {
                    return Err(Gone);
                }
            }
            news.await;
        }
    }
}

impl<T: Clone> Receiver<T> {
    /// The value, seen or not.
    pub fn get(&self) -> T {
        self.shared.state().value.clone()
    }

    /// The value, which counts as seen from now on.
    pub fn see(&mut self) -> T {
        let state = self.shared.state();
        self.seen = state.version;
        state.value.clone()
    }

    /// Waits for a value like this.
    pub async fn wait_for(&mut self, is_it: impl Fn(&T) -> bool) -> Result<T, Gone> {
        loop {
            let value = self.see();
            if is_it(&value) {
                return Ok(value);
            }
            self.changed().await?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::AcqRel);
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.receivers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<T> Shared<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_seen_once_and_the_last_one_counts() {
        let sender = Sender::new(1);
        let mut receiver = sender.subscribe();
        sender.send_replace(2);
        sender.send_replace(3);
        assert_eq!((receiver.changed().await, receiver.see()), (Ok(()), 3));
        let waiting =
            tokio::spawn(async move { (receiver.wait_for(|value| *value > 4).await, receiver) });
        sender.send_modify(|value| *value += 1);
        tokio::task::yield_now().await;
        sender.send_modify(|value| *value += 1);
        let (found, mut receiver) = waiting.await.unwrap();
        assert_eq!((found, sender.receiver_count()), (Ok(5), 1));
        drop(sender);
        assert_eq!(receiver.changed().await, Err(Gone));
        assert_eq!(receiver.get(), 5);
    }

    #[tokio::test]
    async fn who_waits_first_is_woken_first() {
        let sender = Sender::new(0);
        let order: Arc<Mutex<Vec<i32>>> = Arc::default();
        let waiting: Vec<_> = (0..50)
            .map(|number| {
                let (mut receiver, order) = (sender.subscribe(), order.clone());
                tokio::spawn(async move {
                    let _ = receiver.changed().await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        tokio::task::yield_now().await;
        sender.send_replace(1);
        for task in waiting {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
    }
}
