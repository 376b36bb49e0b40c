//! The recorder of events.k8s.io Events: an event that repeats becomes a series.
//!
//! Follows client-go's tools/events/event_broadcaster.go: the second of the same makes a series of
//! two; further ones are counted in memory and written every half hour or, six minutes after the
//! last, for good.

use super::{Namer, RETRY_DELAY, TRIES_MAX, may_retry, namespace_of, tell_refusal};
use crate::error::Error;
use crate::options::{Patch, WriteOptions};
use crate::request::Client;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Clock, Rng};
use tokio::sync::mpsc;
use typed::api::core::v1::ObjectReference;
use typed::api::events::v1::{Event, EventSeries};
use typed::meta::{MicroTime, ObjectMeta};
use typed::{Typed, Wire as _};

const FINISHED_AFTER: Duration = Duration::from_secs(6 * 60);
const REFRESHED_EVERY: Duration = Duration::from_secs(30 * 60);
/// Events that wait to be written. There is one for each pod of a rollout, and all come at once.
const QUEUED_MAX: usize = 8192;
/// Writes under way at once. Upstream begins each at once and has its client hold them back.
const WRITES_MAX: usize = 8;
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
        let pen = Pen {
            client,
            clock: clock.clone(),
            rng,
        };
        let writer = Writer {
            pen: Arc::new(pen),
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
    pen: Arc<Pen>,
    known: BTreeMap<String, Event>,
}

/// What writing takes.
struct Pen {
    client: Client,
    clock: Clock,
    rng: Rng,
}

impl Writer {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        let clock = self.pen.clock.clone();
        let mut finish_at = clock.now() + FINISHED_AFTER;
        let mut refresh_at = clock.now() + REFRESHED_EVERY;
        let mut due = VecDeque::new();
        let mut writes = FuturesUnordered::new();
        loop {
            while writes.len() < WRITES_MAX
                && let Some(event) = due.pop_front()
            {
                writes.push(Arc::clone(&self.pen).write(event));
            }
            let deadline = finish_at.min(refresh_at);
            tokio::select! {
                biased;
                Some(()) = writes.next() => {}
                event = events.recv(), if writes.len() < WRITES_MAX => match event {
                    Some(event) => due.extend(self.take(event)),
                    None => break,
                },
                () = clock.sleep_until(deadline) => {
                    if deadline == finish_at {
                        finish_at += FINISHED_AFTER;
                        due.extend(self.finish());
                    } else {
                        refresh_at += REFRESHED_EVERY;
                        due.extend(self.refresh());
                    }
                }
            }
        }
        while writes.next().await.is_some() {}
    }

    /// Counts an event; returns what is to be written of it.
    fn take(&mut self, event: Event) -> Option<Event> {
        let now = MicroTime(self.pen.clock.wall());
        match self.known.get_mut(&key(&event)) {
            Some(Event {
                series: Some(series),
                ..
            }) => {
                series.count = series.count.saturating_add(1);
                series.last_observed_time = now;
                None
            }
            Some(known) => {
                known.series = Some(EventSeries {
                    count: 2,
                    last_observed_time: now,
                });
                Some(known.clone())
            }
            None => {
                self.known.insert(key(&event), event.clone());
                Some(event)
            }
        }
    }

    /// Forgets series that have ended; returns those whose final counts are to be written.
    fn finish(&mut self) -> Vec<Event> {
        let horizon = self.pen.clock.wall() - FINISHED_AFTER;
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
        let series = ended.into_values().filter(|event| event.series.is_some());
        series.collect()
    }

    /// The series, whose counts so far are to be written, which also prolongs the events' lives.
    fn refresh(&self) -> Vec<Event> {
        let series = self.known.values().filter(|event| event.series.is_some());
        series.cloned().collect()
    }
}

impl Pen {
    async fn write(self: Arc<Self>, event: Event) {
        for _ in 0..TRIES_MAX {
            match self.write_once(&event).await {
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
        // Nobody reads the answer.
        let options = WriteOptions::default();
        let create = async || {
            let created = api.raw().create(event.encode().into(), &options).await;
            created.map(drop)
        };
        let Some(series) = &event.series else {
            return create().await;
        };
        let last = stdx::format_micros(series.last_observed_time.0);
        let patch =
            Patch::Strategic(json!({"series": {"count": series.count, "lastObservedTime": last}}));
        match api.patch(event.name(), &patch).await {
            Err(error) if error.is_not_found() => create().await,
            outcome => outcome.map(drop),
        }
    }
}

/// What makes two events the same: everything but note and time.
fn key(event: &Event) -> String {
    let mut parts = vec![
        &event.type_,
        &event.action,
        &event.reason,
        &event.reporting_controller,
        &event.reporting_instance,
    ];
    for object in [&event.regarding, &event.related].into_iter().flatten() {
        parts.extend([
            &object.api_version,
            &object.kind,
            &object.namespace,
            &object.name,
            &object.uid,
            &object.resource_version,
            &object.field_path,
        ]);
    }
    let parts = parts
        .into_iter()
        .map(|part| part.as_deref().unwrap_or_default());
    parts.collect::<Vec<_>>().join("\0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::NORMAL;
    use crate::transport::{Body, Request, Response, Transport, TransportError};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A server that takes its time.
    struct Slow {
        clock: Clock,
        under_way: AtomicUsize,
        under_way_max: AtomicUsize,
        written: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Transport for Slow {
        async fn call(&self, _: Request) -> Result<Response, TransportError> {
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.under_way_max.fetch_max(under_way, Ordering::Relaxed);
            self.clock.sleep(Duration::from_millis(10)).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            self.written.fetch_add(1, Ordering::Relaxed);
            Ok(Response {
                status: http::StatusCode::CREATED,
                headers: http::HeaderMap::new(),
                body: Body::Full("{}".into()),
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_written_whole_and_a_few_at_a_time() {
        let clock = Clock::simulated(stdx::Timestamp::UNIX_EPOCH);
        let server = Arc::new(Slow {
            clock: clock.clone(),
            under_way: AtomicUsize::default(),
            under_way_max: AtomicUsize::default(),
            written: AtomicUsize::default(),
        });
        let client = Client::new(Arc::clone(&server) as Arc<dyn Transport>);
        let (recorder, writer) = SeriesRecorder::new(client, "test", "", clock, Rng::seeded(1));
        for number in 0..3000 {
            let regarding = ObjectReference {
                name: Some(format!("pod-{number}")),
                ..ObjectReference::default()
            };
            recorder.event(SeriesEvent {
                regarding: &regarding,
                related: None,
                kind: NORMAL,
                reason: "Scheduled",
                action: "Binding",
                note: String::new(),
            });
        }
        drop(recorder);
        writer.await;
        assert_eq!(server.written.load(Ordering::Relaxed), 3000);
        assert_eq!(server.under_way_max.load(Ordering::Relaxed), WRITES_MAX);
    }
}
