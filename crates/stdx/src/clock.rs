//! Time behind a door: a monotonic reading, the wall clock, and sleeping.
//!
//! The simulated clock follows tokio's time. In a paused runtime
//! (`#[tokio::test(start_paused = true)]`) it therefore advances only when
//! every task waits, or when a test calls `tokio::time::advance`. Its wall
//! clock can be stepped apart from the monotonic reading, as a real one is by
//! an operator or by NTP.

use std::{
    fmt,
    future::Future,
    ops::{Add, AddAssign, Sub},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// A handle to one source of time. Clones share the source.
#[derive(Clone)]
pub struct Clock {
    source: Source,
}

#[derive(Clone)]
enum Source {
    System,
    Simulated(Arc<Simulated>),
}

struct Simulated {
    origin: tokio::time::Instant,
    epoch: Timestamp,
    /// How far the wall clock was stepped, in nanoseconds.
    stepped: AtomicI64,
}

/// A monotonic reading: the time since its clock's origin.
///
/// Readings of one clock compare with each other; readings of different
/// simulated clocks do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

/// A deadline passed before the work was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self {
            source: Source::System,
        }
    }

    /// A clock that stands at `epoch` now and then follows tokio's time.
    pub fn simulated(epoch: Timestamp) -> Self {
        let origin = tokio::time::Instant::now();
        let stepped = AtomicI64::new(0);
        Self {
            source: Source::Simulated(Arc::new(Simulated {
                origin,
                epoch,
                stepped,
            })),
        }
    }

    /// The monotonic reading.
    pub fn now(&self) -> Instant {
        match &self.source {
            Source::System => Instant(system_now().saturating_duration_since(system_origin())),
            Source::Simulated(simulated) => Instant(simulated.elapsed()),
        }
    }

    /// The wall clock, which may jump in either direction.
    pub fn wall(&self) -> Timestamp {
        match &self.source {
            Source::System => Timestamp::now(),
            Source::Simulated(simulated) => simulated.wall(),
        }
    }

    /// How long ago `then` was; zero if it lies ahead.
    pub fn since(&self, then: Instant) -> Duration {
        self.now() - then
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Waits until the monotonic reading is at least `deadline`.
    pub async fn sleep_until(&self, deadline: Instant) {
        match &self.source {
            Source::System => {
                let deadline = system_origin().checked_add(deadline.0);
                sleep_until_or_forever(deadline.map(tokio::time::Instant::from_std)).await;
            }
            Source::Simulated(simulated) => {
                sleep_until_or_forever(simulated.origin.checked_add(deadline.0)).await;
            }
        }
    }

    /// Runs `work`, but no longer than `duration`.
    pub async fn timeout<F: Future>(
        &self,
        duration: Duration,
        work: F,
    ) -> Result<F::Output, Elapsed> {
        tokio::time::timeout(duration, work)
            .await
            .map_err(|_| Elapsed)
    }

    /// Steps a simulated wall clock; the monotonic reading does not notice.
    /// Returns whether there was something to step: the machine's clock is
    /// never touched.
    pub fn step_wall(&self, by: SignedDuration) -> bool {
        let Source::Simulated(simulated) = &self.source else {
            return false;
        };
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(if by.is_negative() {
            i64::MIN
        } else {
            i64::MAX
        });
        simulated.stepped.fetch_add(nanos, Ordering::SeqCst);
        true
    }

    /// Whether this clock follows simulated time.
    pub fn is_simulated(&self) -> bool {
        matches!(self.source, Source::Simulated(_))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.source {
            Source::System => "system",
            Source::Simulated(_) => "simulated",
        };
        f.debug_tuple("Clock").field(&name).finish()
    }
}

impl Simulated {
    fn elapsed(&self) -> Duration {
        tokio::time::Instant::now().saturating_duration_since(self.origin)
    }

    fn wall(&self) -> Timestamp {
        let stepped = SignedDuration::from_nanos(self.stepped.load(Ordering::SeqCst));
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::MAX);
        let moved = elapsed.checked_add(stepped).unwrap_or(elapsed);
        self.epoch.saturating_add(moved).unwrap_or(self.epoch)
    }
}

impl Instant {
    /// The origin of every clock.
    pub const ORIGIN: Self = Self(Duration::ZERO);

    /// The time since the clock's origin.
    pub fn since_origin(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline passed")
    }
}

impl std::error::Error for Elapsed {}

/// Prints a time as metav1.Time does: `2006-01-02T15:04:05Z`.
pub fn format_seconds(time: Timestamp) -> String {
    format!("{:.0}", truncate(time, 1_000_000_000))
}

/// Prints a time as metav1.MicroTime does: `2006-01-02T15:04:05.000000Z`.
pub fn format_micros(time: Timestamp) -> String {
    format!("{:.6}", truncate(time, 1_000))
}

/// Cuts a time at a multiple of `nanos`, towards the past.
fn truncate(time: Timestamp, nanos: i128) -> Timestamp {
    let whole = time.as_nanosecond().div_euclid(nanos) * nanos;
    Timestamp::from_nanosecond(whole).unwrap_or(time)
}

async fn sleep_until_or_forever(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn system_origin() -> std::time::Instant {
    static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();
    *ORIGIN.get_or_init(system_now)
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn system_now() -> std::time::Instant {
    std::time::Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn simulated_time_follows_the_paused_runtime() {
        let clock = Clock::simulated(time("2026-01-02T03:04:05Z"));
        let start = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.since(start), Duration::from_secs(3600));
        assert_eq!(format_seconds(clock.wall()), "2026-01-02T04:04:05Z");
        clock.sleep_until(start + Duration::from_secs(7200)).await;
        assert_eq!(clock.since(start), Duration::from_secs(7200));
    }

    #[tokio::test(start_paused = true)]
    async fn wall_steps_apart_from_monotonic() {
        let clock = Clock::simulated(time("2026-01-02T03:04:05Z"));
        let start = clock.now();
        assert!(clock.clone().step_wall(SignedDuration::from_secs(-65)));
        assert_eq!(format_seconds(clock.wall()), "2026-01-02T03:03:00Z");
        assert_eq!(clock.now(), start);
        assert!(!Clock::system().step_wall(SignedDuration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn timeout_ends_what_takes_too_long() {
        let clock = Clock::simulated(time("2026-01-02T03:04:05Z"));
        let never = std::future::pending::<()>();
        assert_eq!(
            clock.timeout(Duration::from_secs(1), never).await,
            Err(Elapsed)
        );
        assert_eq!(
            clock.timeout(Duration::from_secs(1), async { 7 }).await,
            Ok(7)
        );
    }

    #[test]
    fn times_print_as_metav1_does() {
        let t = time("2026-11-20T17:34:39.9876549Z");
        assert_eq!(format_seconds(t), "2026-11-20T17:34:39Z");
        assert_eq!(format_micros(t), "2026-11-20T17:34:39.987654Z");
        assert_eq!(
            format_micros(time("2026-11-20T17:34:39Z")),
            "2026-11-20T17:34:39.000000Z"
        );
        let before_1970 = time("1969-12-31T23:59:58.5Z");
        assert_eq!(format_seconds(before_1970), "1969-12-31T23:59:58Z");
    }

    #[test]
    fn system_time_moves_forward() {
        let clock = Clock::system();
        let first = clock.now();
        assert!(clock.now() >= first);
        assert_eq!(first - (first + Duration::from_secs(1)), Duration::ZERO);
    }
}
