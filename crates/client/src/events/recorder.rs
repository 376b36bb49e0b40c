//! The recorder of core/v1 Events. Follows client-go's tools/record/event.go.

use super::correlator::{Correlator, Decision};
use super::{Namer, QUEUED_MAX, RETRY_DELAY, TRIES_MAX, may_retry, namespace_of, tell_refusal};
use crate::error::Error;
use crate::options::Patch;
use crate::request::Client;
use serde_json::json;
use std::sync::Arc;
use stdx::{Clock, Rng};
use tokio::sync::mpsc;
use typed::Time;
use typed::api::core::v1::{Event, EventSource, ObjectReference};
use typed::meta::ObjectMeta;

/// A handle to record events with. Clones record into the same queue.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Event>,
    component: Arc<str>,
    host: Arc<str>,
    clock: Clock,
    namer: Namer,
}

impl Recorder {
    /// A recorder for a component (on a host, if it is a node's), and the task that writes its
    /// events until all handles are gone.
    pub fn new(
        client: Client,
        component: &str,
        host: &str,
        clock: Clock,
        rng: Rng,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, events) = mpsc::channel(QUEUED_MAX);
        let writer = Writer {
            client,
            clock: clock.clone(),
            rng,
            correlator: Correlator::new(),
        };
        let recorder = Self {
            queue,
            component: component.into(),
            host: host.into(),
            clock,
            namer: Namer::default(),
        };
        (recorder, writer.run(events))
    }

    /// Records that something happened to an object. `kind` is [`super::NORMAL`] or
    /// [`super::WARNING`].
    pub fn event(
        &self,
        object: &ObjectReference,
        kind: &str,
        reason: &str,
        message: impl Into<String>,
    ) {
        let event = self.form(object, kind, reason, message.into());
        tracing::debug!(
            object = object.name.as_deref().unwrap_or_default(),
            kind = object.kind.as_deref().unwrap_or_default(),
            reason,
            message = event.message.as_deref().unwrap_or_default(),
            "event"
        );
        if self.queue.try_send(event).is_err() {
            tracing::warn!(reason, "event dropped: the queue is full or closed");
        }
    }

    fn form(&self, object: &ObjectReference, kind: &str, reason: &str, message: String) -> Event {
        let wall = self.clock.wall();
        let host = (!self.host.is_empty()).then(|| self.host.to_string());
        Event {
            metadata: ObjectMeta {
                name: Some(self.namer.name(object, wall)),
                namespace: Some(namespace_of(object)),
                ..Default::default()
            },
            involved_object: object.clone(),
            type_: Some(kind.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message),
            first_timestamp: Some(Time(wall)),
            last_timestamp: Some(Time(wall)),
            count: Some(1),
            reporting_component: Some(self.component.to_string()),
            reporting_instance: Some(self.host.to_string()),
            source: Some(EventSource {
                component: Some(self.component.to_string()),
                host,
            }),
            ..Default::default()
        }
    }
}

struct Writer {
    client: Client,
    clock: Clock,
    rng: Rng,
    correlator: Correlator,
}

impl Writer {
    async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let decision = self.correlator.correlate(event, self.clock.now());
            if decision != Decision::Skip {
                self.write(&decision).await;
            }
        }
    }

    /// Writes, and tries again when no answer comes: the first time after a random part of the
    /// delay, so that many clients do not return together.
    async fn write(&self, decision: &Decision) {
        for attempt in 0..TRIES_MAX {
            match self.write_once(decision).await {
                Ok(()) => return,
                Err(error) if error.is_already_exists() => return,
                Err(error) if may_retry(&error) => {
                    tracing::debug!(%error, "event not written, will try again")
                }
                Err(error) => {
                    tell_refusal(&error);
                    return;
                }
            }
            let delay = if attempt == 0 {
                RETRY_DELAY.mul_f64(self.rng.unit())
            } else {
                RETRY_DELAY
            };
            self.clock.sleep(delay).await;
        }
        tracing::warn!("event not written: retry limit exceeded");
    }

    async fn write_once(&self, decision: &Decision) -> Result<(), Error> {
        match decision {
            Decision::Skip => Ok(()),
            Decision::Create(event) => self.create(event).await,
            Decision::Count(event) => match self.raise_count(event).await {
                // The first one was deleted or has lived out its time.
                Err(error) if error.is_not_found() => self.create(event).await,
                outcome => outcome,
            },
        }
    }

    async fn create(&self, event: &Event) -> Result<(), Error> {
        self.client.api::<Event>().create(event).await.map(drop)
    }

    async fn raise_count(&self, event: &Event) -> Result<(), Error> {
        let time = event
            .last_timestamp
            .as_ref()
            .map(|time| stdx::format_seconds(time.0));
        let patch = Patch::Strategic(json!({
            "count": event.count,
            "lastTimestamp": time,
            "message": event.message,
        }));
        let meta = &event.metadata;
        let api = self
            .client
            .api::<Event>()
            .namespace(meta.namespace.as_deref().unwrap_or_default());
        api.patch(meta.name.as_deref().unwrap_or_default(), &patch)
            .await
            .map(drop)
    }
}
