//! The user's terminal: every key as it is typed, its size, and its old state afterwards.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/util/term and pkg/util/interrupt.

use crate::error::{Error, Result, said};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::collections::VecDeque;
use std::io::{IsTerminal as _, stdin, stdout};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How large a terminal is, in letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

/// Whether keys are typed by a person.
pub fn has_keys() -> bool {
    stdin().is_terminal()
}

/// How large the terminal is; `None` when standard output is none.
pub fn size() -> Option<Size> {
    let size = tcgetwinsize(stdout()).ok()?;
    Some(Size {
        width: size.ws_col,
        height: size.ws_row,
    })
}

/// The sizes that the terminal has, one after the other.
pub struct Sizes {
    first: VecDeque<Size>,
    changes: Option<Signal>,
}

impl Sizes {
    /// Begins with some.
    pub fn beginning_with(first: impl IntoIterator<Item = Size>) -> Self {
        Sizes {
            first: first.into_iter().collect(),
            changes: signal(SignalKind::window_change()).ok(),
        }
    }

    /// The next size; `None` when there will be no others.
    pub async fn next(&mut self) -> Option<Size> {
        if let Some(size) = self.first.pop_front() {
            return Some(size);
        }
        self.changes.as_mut()?.recv().await?;
        size()
    }
}

/// Gives the terminal its old state back when it is dropped.
struct Restored(Termios);

impl Drop for Restored {
    fn drop(&mut self) {
        // A terminal that is gone needs no state.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}

/// Works with the terminal, which has its old state afterwards, whether the work ends or a signal
/// ends it. Raw means that keys reach the other side as they are typed.
pub async fn safely<T>(raw: bool, work: impl Future<Output = Result<T>>) -> Result<T> {
    if !has_keys() {
        return work.await;
    }
    let state = tcgetattr(stdin())
        .or_else(|error| said(format!("read the state of the terminal: {error}")))?;
    let restored = Restored(state);
    if raw {
        let mut state = restored.0.clone();
        state.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &state)
            .or_else(|error| said(format!("switch the terminal to raw mode: {error}")))?;
    }
    interruptible(work).await
}

/// Works until a signal asks for the end, which is exit code 1.
pub async fn interruptible<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let signals = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    let mut waiting = Vec::new();
    for kind in signals {
        match signal(kind) {
            Ok(signal) => waiting.push(signal),
            Err(error) => return said(format!("wait for signals: {error}")),
        }
    }
    let any = futures::future::select_all(waiting.iter_mut().map(|one| Box::pin(one.recv())));
    tokio::select! {
        done = work => done,
        _ = any => Err(Error::Exit(1)),
    }
}
