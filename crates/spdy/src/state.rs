//! What a session knows of its streams and windows. Pure: no bytes move here.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::mpsc;

/// The window that everybody begins with.
const WINDOW: i64 = 64 << 10;
/// Received bytes that are worth an update of the window.
const UPDATE: usize = 16 << 10;
/// Bytes that wait for a reader before the whole connection has to.
const QUEUE_MAX: usize = 128 << 10;
/// How many streams a session may have at once.
pub(crate) const STREAMS_MAX: usize = 1000;

/// One stream of a session.
pub(crate) struct Entry {
    /// Where its bytes go; none after their end.
    pub(crate) inbox: Option<mpsc::UnboundedSender<Bytes>>,
    /// How many bytes wait for its reader.
    queued: usize,
    /// Whether we have said all.
    pub(crate) is_finished: bool,
    window: i64,
    taken: usize,
}

/// All of a session.
pub(crate) struct State {
    pub(crate) streams: HashMap<u32, Entry>,
    pub(crate) is_closed: bool,
    pub(crate) next_id: u32,
    /// The highest stream that the peer has opened.
    pub(crate) last_heard: u32,
    /// Whether the peer keeps windows at all: Go's spdystream does not, and
    /// would wait forever for what it never allows.
    keeps_windows: bool,
    initial: i64,
    window: i64,
    taken: usize,
}

impl State {
    pub(crate) fn new(first_id: u32) -> State {
        State {
            streams: HashMap::new(),
            is_closed: false,
            next_id: first_id,
            last_heard: 0,
            keeps_windows: false,
            initial: WINDOW,
            window: WINDOW,
            taken: 0,
        }
    }

    pub(crate) fn add(&mut self, id: u32, inbox: Option<mpsc::UnboundedSender<Bytes>>) {
        let entry = Entry {
            inbox,
            queued: 0,
            is_finished: false,
            window: self.initial,
            taken: 0,
        };
        self.streams.insert(id, entry);
    }

    /// How many of `wanted` bytes may be sent now; `None` when the stream is no more.
    pub(crate) fn claim(&mut self, id: u32, wanted: usize) -> Option<usize> {
        if self.is_closed {
            return None;
        }
        let entry = self.streams.get_mut(&id).filter(|one| !one.is_finished)?;
        let room = if self.keeps_windows {
            usize::try_from(entry.window.min(self.window).max(0)).unwrap_or(0)
        } else {
            usize::MAX
        };
        let granted = wanted.min(room);
        let size = i64::try_from(granted).unwrap_or(i64::MAX);
        entry.window = entry.window.saturating_sub(size);
        self.window = self.window.saturating_sub(size);
        Some(granted)
    }

    /// The peer allows more bytes; 0 is the whole session.
    pub(crate) fn allow(&mut self, id: u32, delta: u32) {
        self.keep_windows();
        let window = match id {
            0 => Some(&mut self.window),
            id => self.streams.get_mut(&id).map(|one| &mut one.window),
        };
        if let Some(window) = window {
            *window = window
                .saturating_add(i64::from(delta))
                .min(i64::from(i32::MAX));
        }
    }

    /// The peer says how large windows begin.
    pub(crate) fn begin_with(&mut self, size: u32) {
        self.keep_windows();
        let change = i64::from(size) - self.initial;
        self.initial = i64::from(size);
        for entry in self.streams.values_mut() {
            entry.window = entry.window.saturating_add(change);
        }
    }

    /// What was sent before the peer was known to count has been taken long ago,
    /// or it would have objected.
    fn keep_windows(&mut self) {
        if !self.keeps_windows {
            self.keeps_windows = true;
            self.window = self.window.max(0);
            for entry in self.streams.values_mut() {
                entry.window = entry.window.max(0);
            }
        }
    }

    /// Bytes of the session were taken off the wire: what to give back.
    pub(crate) fn received(&mut self, length: usize) -> Option<u32> {
        give_back(&mut self.taken, length)
    }

    /// Bytes of a stream were taken by its reader: what to give back.
    pub(crate) fn consumed(&mut self, id: u32, length: usize) -> Option<u32> {
        let entry = self.streams.get_mut(&id)?;
        entry.queued = entry.queued.saturating_sub(length);
        entry.inbox.as_ref()?;
        give_back(&mut entry.taken, length)
    }

    /// Bytes have come for a stream: they wait for its reader. Those that nobody
    /// reads are thrown away.
    pub(crate) fn deliver(&mut self, id: u32, bytes: Bytes) {
        let Some(entry) = self.streams.get_mut(&id) else {
            return;
        };
        let length = bytes.len();
        let inbox = entry.inbox.as_ref();
        if inbox.is_some_and(|inbox| inbox.send(bytes).is_ok()) {
            entry.queued += length;
        }
    }

    /// Whether more waits for a stream's reader than a peer that keeps windows
    /// would send.
    pub(crate) fn is_full(&self, id: u32) -> bool {
        let entry = self.streams.get(&id);
        entry.is_some_and(|one| one.inbox.is_some() && one.queued > QUEUE_MAX)
    }

    /// We have said all; false when that was said before.
    pub(crate) fn finish(&mut self, id: u32) -> bool {
        let Some(entry) = self.streams.get_mut(&id) else {
            return false;
        };
        let first = !std::mem::replace(&mut entry.is_finished, true);
        self.sweep(id);
        first
    }

    /// The peer has said all.
    pub(crate) fn heard_all(&mut self, id: u32) {
        if let Some(entry) = self.streams.get_mut(&id) {
            entry.inbox = None;
        }
        self.sweep(id);
    }

    fn sweep(&mut self, id: u32) {
        let is_over = |entry: &Entry| entry.is_finished && entry.inbox.is_none();
        if self.streams.get(&id).is_some_and(is_over) {
            self.streams.remove(&id);
        }
    }

    /// The connection has ended.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
        self.streams.clear();
    }
}

fn give_back(taken: &mut usize, length: usize) -> Option<u32> {
    *taken += length;
    if *taken < UPDATE {
        return None;
    }
    u32::try_from(std::mem::take(taken)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let (inbox, _) = mpsc::unbounded_channel();
        let mut state = State::new(2);
        state.add(1, Some(inbox.clone()));
        state.add(3, Some(inbox.clone()));
        state
    }

    #[test]
    fn who_keeps_no_windows_is_sent_everything() {
        let mut state = state();
        assert_eq!(state.claim(1, 1 << 20), Some(1 << 20));
        assert_eq!(state.claim(1, 1 << 20), Some(1 << 20));
        assert_eq!(state.claim(9, 1), None);
    }

    #[test]
    fn who_keeps_windows_is_sent_what_it_allows() {
        let mut state = state();
        state.begin_with(100);
        assert_eq!(state.claim(1, 70), Some(70));
        assert_eq!(state.claim(1, 70), Some(30));
        assert_eq!(state.claim(1, 70), Some(0));
        assert_eq!(state.claim(3, 70), Some(70));
        state.allow(1, 5);
        assert_eq!(state.claim(1, 70), Some(5));
        state.begin_with(1 << 20);
        assert_eq!(state.claim(1, 1 << 20), Some((64 << 10) - 175));
        assert_eq!(state.claim(1, 1), Some(0));
        state.allow(0, 7);
        assert_eq!(state.claim(1, 10), Some(7));
    }

    #[test]
    fn streams_go_when_both_sides_have_said_all() {
        let mut state = state();
        assert!(state.finish(1));
        assert!(!state.finish(1));
        assert_eq!(state.claim(1, 1), None);
        state.heard_all(1);
        state.heard_all(3);
        assert_eq!(state.consumed(3, 1 << 20), None);
        assert!(state.finish(3));
        assert!(state.streams.is_empty());
    }

    #[test]
    fn room_is_given_back_in_large_pieces() {
        let mut state = state();
        assert_eq!(state.received(UPDATE - 1), None);
        assert_eq!(state.received(1), u32::try_from(UPDATE).ok());
        assert_eq!(
            state.consumed(1, 2 * UPDATE),
            u32::try_from(2 * UPDATE).ok()
        );
    }
}
