//! Waiting for conditions, with bounds counted in looks, since a busy machine
//! looks seldom. That looks themselves take long has a bound, too.

use std::time::Duration;
use stdx::Clock;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 300;
const LONGEST: Duration = Duration::from_secs(120);

/// Looks until something is there.
///
/// # Panics
/// When it does not come.
#[track_caller]
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    match look_for(LOOKS, look) {
        Some(found) => found,
        None => panic!("waited in vain: {what}"),
    }
}

/// Looks until something is so.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub fn until(what: &str, mut look: impl FnMut() -> bool) {
    eventually(what, || look().then_some(()));
}

/// Looks until what comes is right; says at the end what came instead.
///
/// # Panics
/// When it does not become right.
#[track_caller]
pub fn patiently<T: std::fmt::Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    right: impl Fn(&T) -> bool,
) -> T {
    let mut last = None;
    let found = look_for(LOOKS, || {
        let now = look();
        let is_right = right(&now);
        last = Some(now);
        is_right.then_some(())
    });
    match (found, last) {
        (Some(()), Some(value)) => value,
        (_, last) => panic!("waited in vain: {what}; at last: {last:#?}"),
    }
}

/// As [`eventually`], without a verdict.
pub(crate) fn look_for<T>(looks: u32, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let clock = Clock::system();
    let begun = clock.now();
    for _ in 0..looks {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock.since(begun) > LONGEST {
            return None;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    None
}
