//! Events: what a component tells users about their objects.
//!
//! Recording never waits and never fails: an event goes into a bounded queue (a full queue drops
//! it, as upstream does) and a task of the component's supervisor writes it. [`Recorder`] writes
//! core/v1 Events, counted and combined; [`SeriesRecorder`] writes events.k8s.io Events.

mod correlator;
mod recent;
mod recorder;
mod series;

pub use recorder::Recorder;
pub use series::{SeriesEvent, SeriesRecorder};

use crate::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use typed::api::core::v1::ObjectReference;

/// The type of an event about something that is as it should be.
pub const NORMAL: &str = "Normal";
/// The type of an event about something that is not.
pub const WARNING: &str = "Warning";

const QUEUED_MAX: usize = 1000;
const TRIES_MAX: u32 = 12;
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// Events of cluster-scoped objects go into namespace default.
fn namespace_of(object: &ObjectReference) -> String {
    let namespace = object
        .namespace
        .clone()
        .filter(|namespace| !namespace.is_empty());
    namespace.unwrap_or_else(|| "default".to_owned())
}

/// Names events: the object's name and the time in hexadecimal nanoseconds, which no two events of
/// a recorder share even if the clock stands still.
#[derive(Clone, Default)]
struct Namer {
    last: Arc<AtomicI64>,
}

impl Namer {
    fn name(&self, object: &ObjectReference, now: stdx::Timestamp) -> String {
        let nanos = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
        let next = |last: i64| nanos.max(last.saturating_add(1));
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            });
        let unique = next(last.unwrap_or_default());
        format!("{}.{unique:x}", object.name.as_deref().unwrap_or_default())
    }
}

/// Says that the server refused an event. In a namespace that is ending nothing can be written any
/// more, and nobody has to hear of it.
fn tell_refusal(error: &Error) {
    if is_expected(error) {
        tracing::debug!(error = error.message(), "server rejected event");
    } else {
        tracing::warn!(error = error.message(), "server rejected event");
    }
}

fn is_expected(error: &Error) -> bool {
    error.is_namespace_terminating()
}

/// Whether writing may work later: the server's refusals are final, silence is not.
fn may_retry(error: &Error) -> bool {
    matches!(error, Error::Transport { .. } | Error::Decode { .. })
}
