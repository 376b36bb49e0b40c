//! Complaints of what goes on in the background, in the form of upstream's log (klog).

use crate::io;
use std::panic::Location;

/// `E1130 19:05:06.000007   42 forward.rs:21] "What happened" err="why" localPort=80`
#[track_caller]
pub fn error(what: &str, why: &str, pairs: &[(&str, String)]) {
    let place = Location::caller();
    let mut text = format!(
        "{} err={}",
        crate::words::quote(what),
        crate::words::quote(why)
    );
    for (key, value) in pairs {
        text.push_str(&format!(" {key}={value}"));
    }
    write('E', place, &text);
}

/// `W1130 19:05:06.000007   42 proxy.rs:21] What may go wrong`
#[track_caller]
pub fn warning(text: &str) {
    write('W', Location::caller(), text);
}

fn write(level: char, place: &Location<'_>, text: &str) {
    let now = stdx::Clock::system().wall();
    let file = place.file().rsplit('/').next().unwrap_or_default();
    io::warn(format!(
        "{level}{} {:>7} {file}:{}] {text}",
        now.strftime("%m%d %H:%M:%S.%6f"),
        std::process::id(),
        place.line()
    ));
}
