//! The recorder of events.k8s.io Events: an event that repeats becomes a series.
//!
//! Follows client-go's tools/events/event_broadcaster.go: the second of the same makes a series of
//! two; further ones are counted in memory and written every half hour or, six minutes after the
//! last, for good.

use super::{Namer, QUEUED_MAX, RETRY_DELAY, TRIES_MAX, may_retry, namespace_of, tell_refusal};
use crate::error::Error;
use crate::options::Patch;
use crate::request::Client;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng};
use tokio::sync::mpsc;
use typed::Typed;
use typed::api::core::v1::ObjectReference;
use typed::api::events::v1::{Event, EventSeries};
use typed::meta::{MicroTime, ObjectMeta};

const FINISHED_AFTER: Duration = Duration::from_secs(6 * 60);
const REFRESHED_EVERY: Duration = Duration::from_secs(30 * 60);
/// An API server refuses notes longer than this.
const NOTE_MAX: usize = 1024;

/// What happened, to which object, by which action.
#[derive(Clone, Debug)]
pub struct SeriesEvent<'a> {
    /// The object.
    pub regarding: &'a ObjectReference,
    /// Another object that took part.
    pub related: Option<&'a ObjectReference>,
    /// [`super::NORMAL`] or [`super::WARNING`].
    pub kind: &'a str,
    /// Why, in one word.
    pub reason: &'a str,
    /// What was done, in one word.
    pub action: &'a str,
    /// For humans.
    pub note: String,
}

/// A handle to record events with. Clones record into the same queue.
#[derive(Clone)]
pub struct SeriesRecorder {
    queue: mpsc::Sender<Event>,
    controller: Arc<str>,
    instance: Arc<str>,
    clock: Clock,
    namer: Namer,
}

impl SeriesRecorder {
    /// A recorder for a controller that runs on a host, and the task that writes its events until
    /// all handles are gone.
    pub fn new(
        client: Client,
        controller: &str,
        host: &str,
        clock: Clock,
        rng: Rng,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        let writer = Writer {
            client,
            clock: clock.clone(),
            rng,
            known: BTreeMap::new(),
        };
        let instance = format!("{controller}-{host}").into();
        (
            Self {
                queue,
                controller: controller.into(),
                instance,
                clock,
                namer: Namer::default(),
            },
            writer.run(events),
        )
    }

    /// The name under which the recorder reports.
    pub fn controller(&self) -> &str {
        &self.controller
    }

    /// Records an event.
    pub fn event(&self, event: SeriesEvent<'_>) {
        let formed = self.form(event);
        tracing::debug!(
            object = formed
                .regarding
                .as_ref()
                .and_then(|object| object.name.as_deref())
                .unwrap_or_default(),
            reason = formed.reason.as_deref().unwrap_or_default(),
            note = formed.note.as_deref().unwrap_or_default(),
            "event"
        );
        if self.queue.try_send(formed).is_err() {
            tracing::warn!("event dropped: the queue is full or closed");
        }
    }

    fn form(&self, event: SeriesEvent<'_>) -> Event {
        let wall = self.clock.wall();
        Event {
            metadata: ObjectMeta {
                name: Some(self.namer.name(event.regarding, wall)),
                namespace: Some(namespace_of(event.regarding)),
                ..Default::default()
            },
            event_time: Some(MicroTime(wall)),
            reporting_controller: Some(self.controller.to_string()),
            reporting_instance: Some(self.instance.to_string()),
            action: Some(event.action.to_owned()),
            reason: Some(event.reason.to_owned()),
            regarding: Some(event.regarding.clone()),
            related: event.related.cloned(),
            note: Some(shortened(event.note)),
            type_: Some(event.kind.to_owned()),
            ..Default::default()
        }
    }
}

fn shortened(mut note: String) -> String {
    if note.len() > NOTE_MAX {
        let end = (0..=NOTE_MAX)
            .rev()
            .find(|end| note.is_char_boundary(*end))
            .unwrap_or(0);
        note.truncate(end);
    }
    note
}

struct Writer {
    client: Client,
    clock: Clock,
    rng: Rng,
    known: BTreeMap<String, Event>,
}

impl Writer {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let mut finish_at = self.clock.now() + FINISHED_AFTER;
        let mut refresh_at = self.clock.now() + REFRESHED_EVERY;
        loop {
            let deadline = finish_at.min(refresh_at);
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => self.take(event).await,
                    None => return,
                },
                () = self.clock.sleep_until(deadline) => {
                    if deadline == finish_at {
                        finish_at += FINISHED_AFTER;
                        self.finish().await;
                    } else {
                        refresh_at += REFRESHED_EVERY;
                        self.refresh().await;
                    }
                }
            }
        }
    }

    async fn take(&mut self, event: Event) {
        let now = MicroTime(self.clock.wall());
        let written = match self.known.get_mut(&key(&event)) {
            Some(Event {
                series: Some(series),
                ..
            }) => {
                series.count = series.count.saturating_add(1);
                series.last_observed_time = now;
                return;
            }
            Some(known) => {
                known.series = Some(EventSeries {
                    count: 2,
                    last_observed_time: now,
                });
                known.clone()
            }
            None => {
                self.known.insert(key(&event), event.clone());
                event
            }
        };
        self.write(&written).await;
    }

    /// Writes the final counts of series that have ended and forgets them.
    async fn finish(&mut self) {
        let horizon = self.clock.wall() - FINISHED_AFTER;
        let ended = |event: &Event| match &event.series {
            Some(series) => series.last_observed_time.0 < horizon,
            None => event
                .event_time
                .as_ref()
                .is_none_or(|time| time.0 < horizon),
        };
        let (ended, running) = std::mem::take(&mut self.known)
            .into_iter()
            .partition(|(_, event)| ended(event));
        self.known = running;
        let ended: BTreeMap<String, Event> = ended;
        for event in ended.values().filter(|event| event.series.is_some()) {
            self.write(event).await;
        }
    }

    /// Writes the counts so far, which also prolongs the events' lives.
    async fn refresh(&mut self) {
        let series: Vec<_> = self
            .known
            .values()
            .filter(|event| event.series.is_some())
            .cloned()
            .collect();
        for event in series {
            self.write(&event).await;
        }
    }

    async fn write(&self, event: &Event) {
        for _ in 0..TRIES_MAX {
            match self.write_once(event).await {
                Ok(()) => return,
                // Between patch and creation somebody else created it: the patch will work now.
                Err(error) if error.is_already_exists() && event.series.is_some() => {}
                Err(error) if error.is_already_exists() => return,
                Err(error) if may_retry(&error) => {
                    tracing::debug!(%error, "event not written, will try again")
                }
                Err(error) => {
                    tell_refusal(&error);
                    return;
                }
            }
            self.clock.sleep(self.rng.jitter(RETRY_DELAY, 0.25)).await;
        }
        tracing::warn!("event not written: retry limit exceeded");
    }

    async fn write_once(&self, event: &Event) -> Result<(), Error> {
        let api = self.client.api::<Event>().namespace(event.namespace());
        let Some(series) = &event.series else {
            return api.create(event).await.map(drop);
        };
        let last = stdx::format_micros(series.last_observed_time.0);
        let patch =
            Patch::Strategic(json!({"series": {"count": series.count, "lastObservedTime": last}}));
        match api.patch(event.name(), &patch).await {
            Err(error) if error.is_not_found() => api.create(event).await.map(drop),
            outcome => outcome.map(drop),
        }
    }
}

/// What makes two events the same: everything but note and time.
fn key(event: &Event) -> String {
    let parts = [
        &event.type_,
        &event.action,
        &event.reason,
        &event.reporting_controller,
        &event.reporting_instance,
    ];
    let parts: Vec<&str> = parts
        .iter()
        .map(|part| part.as_deref().unwrap_or_default())
        .collect();
    format!(
        "{}\0{:?}\0{:?}",
        parts.join("\0"),
        event.regarding,
        event.related
    )
}
