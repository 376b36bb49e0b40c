//! Text at levels of indentation, aligned at its tabs when finished.

use crate::tabwriter::{DESCRIPTION, escape};

/// Collects lines.
#[derive(Default)]
pub(super) struct Writer {
    done: String,
    pending: String,
}

impl Writer {
    /// Text as it is, at a level of indentation.
    pub(super) fn put(&mut self, level: usize, text: &str) {
        self.pending.extend(std::iter::repeat_n("  ", level));
        self.pending.push_str(&escape(text));
    }

    /// A line.
    pub(super) fn line(&mut self, level: usize, text: &str) {
        self.put(level, text);
        self.pending.push('\n');
    }

    /// `Name:    value`
    pub(super) fn field(&mut self, level: usize, name: &str, value: impl std::fmt::Display) {
        self.line(level, &format!("{name}:\t{value}"));
    }

    /// The same unless the value is empty.
    pub(super) fn field_unless_empty(&mut self, level: usize, name: &str, value: &str) {
        if !value.is_empty() {
            self.field(level, name, value);
        }
    }

    /// Aligns what was written, so that what follows has columns of its own.
    pub(super) fn flush(&mut self) {
        self.done.push_str(&DESCRIPTION.format(&self.pending));
        self.pending.clear();
    }

    /// Everything, with the tabs as they are.
    pub(super) fn unaligned(self) -> String {
        self.done + &self.pending
    }

    /// Everything.
    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.done
    }
}
