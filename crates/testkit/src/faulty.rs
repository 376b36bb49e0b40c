//! A transport that loses things, as networks do: requests, answers (what was asked for is done
//! nevertheless), and the rest of watches; and that is slow at times. What it loses follows from a
//! seed.

use client::{Body, Request, Response, Transport, TransportError, WatchEvent};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::{Clock, Rng};

/// How likely each fault is.
#[derive(Clone, Copy, Debug)]
pub struct Odds {
    /// A request does not arrive.
    pub request_lost: f64,
    /// An answer does not arrive.
    pub answer_lost: f64,
    /// A watch ends before its next event.
    pub watch_cut: f64,
    /// The longest delay of a request, of an answer and of an event.
    pub delay_max: Duration,
}

/// Whether faults happen. Clones share the switch.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    healed: Arc<AtomicBool>,
}

/// A transport with faults above another one without.
pub struct Faulty {
    inner: Arc<dyn Transport>,
    odds: Odds,
    faults: Faults,
    clock: Clock,
    rng: Rng,
}

impl Faults {
    /// Ends all faults.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    fn happens(&self, rng: &Rng, probability: f64) -> bool {
        !self.healed.load(Ordering::Relaxed) && rng.chance(probability)
    }
}

impl Faulty {
    /// Puts faults above a transport.
    pub fn new(
        inner: Arc<dyn Transport>,
        odds: Odds,
        faults: Faults,
        clock: Clock,
        rng: Rng,
    ) -> Self {
        Self {
            inner,
            odds,
            faults,
            clock,
            rng,
        }
    }

    async fn dawdle(&self) {
        let millis = u64::try_from(self.odds.delay_max.as_millis()).unwrap_or(u64::MAX);
        if millis > 0 && self.faults.happens(&self.rng, 0.5) {
            self.clock
                .sleep(Duration::from_millis(self.rng.below(millis)))
                .await;
        }
    }

    fn lost(&self) -> TransportError {
        TransportError::Exchange {
            address: "test".to_owned(),
            source: "lost".into(),
        }
    }

    /// The events up to the cut.
    fn cut(&self, events: Events) -> Events {
        let (faults, rng, odds) = (self.faults.clone(), self.rng.fork(), self.odds);
        let cut = futures::stream::unfold(Some(events), move |events| {
            let (faults, rng) = (faults.clone(), rng.clone());
            async move {
                let mut events = events?;
                if faults.happens(&rng, odds.watch_cut) {
                    return Some((Err(TransportError::Body("cut".into())), None));
                }
                let event = events.next().await?;
                Some((event, Some(events)))
            }
        });
        cut.boxed()
    }
}

type Events = BoxStream<'static, Result<WatchEvent, TransportError>>;

#[async_trait::async_trait]
impl Transport for Faulty {
    async fn call(&self, request: Request) -> Result<Response, TransportError> {
        self.dawdle().await;
        if self.faults.happens(&self.rng, self.odds.request_lost) {
            return Err(self.lost());
        }
        let response = self.inner.call(request).await?;
        self.dawdle().await;
        if self.faults.happens(&self.rng, self.odds.answer_lost) {
            return Err(self.lost());
        }
        let body = match response.body {
            Body::Events(events) => Body::Events(self.cut(events)),
            body => body,
        };
        Ok(Response { body, ..response })
    }
}
