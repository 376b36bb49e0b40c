//! How a pull or a push is getting on, on standard error: a line that changes in place
//! on a terminal, else a line per step.

use super::human_bytes;
use images::registry::Progress;
use images::{Digest, Reference};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Shows one of them.
pub struct Display {
    quiet: bool,
    in_place: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    layers: BTreeMap<Digest, (u64, u64)>,
    /// What stands in the line now, so that it is not written again.
    line: String,
}

impl Display {
    /// Begins with what is done, and the image's name.
    pub fn new(what: &str, reference: &Reference, quiet: bool) -> Self {
        if !quiet {
            eprintln!("{what} {reference}");
        }
        Self {
            quiet,
            in_place: std::io::stderr().is_terminal(),
            state: Mutex::default(),
        }
    }

    /// Shows a step.
    pub fn show(&self, progress: Progress) {
        if self.quiet {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match progress {
            Progress::Resolved(layers) => {
                for (digest, size, is_here) in layers {
                    let text = if is_here {
                        "already here"
                    } else {
                        "to be downloaded"
                    };
                    eprintln!("{}: {} {text}", short(&digest), human_bytes(size));
                    if !is_here {
                        state.layers.insert(digest, (0, size));
                    }
                }
            }
            Progress::Layer {
                digest,
                done,
                total,
            } => {
                state.layers.insert(digest, (done, total));
                self.downloaded(&mut state, digest, done == total, total);
            }
            Progress::Retry { digest, why } => {
                self.line(&format!("{}: again: {why}", short(&digest)))
            }
            Progress::Unpacking => self.line("Unpacking"),
        }
    }

    fn downloaded(&self, state: &mut State, digest: Digest, is_whole: bool, total: u64) {
        if !self.in_place {
            if is_whole {
                eprintln!("{}: {} done", short(&digest), human_bytes(total));
            }
            return;
        }
        let sum = |one: fn(&(u64, u64)) -> u64| state.layers.values().map(one).sum::<u64>();
        let (done, all) = (sum(|pair| pair.0), sum(|pair| pair.1));
        let line = format!("{} of {}", human_bytes(done), human_bytes(all));
        if line != state.line {
            let mut out = std::io::stderr();
            // A terminal that is gone needs no progress.
            let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
            state.line = line;
        }
    }

    fn line(&self, text: &str) {
        let start = if self.in_place { "\r\x1b[K" } else { "" };
        eprintln!("{start}{text}");
    }
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}
