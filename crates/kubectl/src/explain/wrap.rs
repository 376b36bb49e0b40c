//! Lines of a given width, broken as the two renderers of upstream break them.

/// Breaks between words, keeping the breaks that are there. Follows WrapString of
/// mitchellh/go-wordwrap, which upstream's templates call.
pub(super) fn wrap(text: &str, limit: usize) -> String {
    let mut lines = Wrap {
        limit,
        ..Wrap::default()
    };
    for letter in text.chars() {
        lines.take(letter);
    }
    lines.end()
}

#[derive(Default)]
struct Wrap {
    limit: usize,
    out: String,
    /// The width of the line so far, without what is pending.
    current: usize,
    space: String,
    word: String,
}

impl Wrap {
    fn take(&mut self, letter: char) {
        if letter == '\n' {
            self.keep_spaces_that_fit();
            self.flush();
            self.out.push('\n');
            self.current = 0;
        } else if letter.is_whitespace() && letter != '\u{a0}' {
            if self.space.is_empty() || !self.word.is_empty() {
                self.flush();
            }
            self.space.push(letter);
        } else {
            self.word.push(letter);
            let word = width(&self.word);
            if self.current + width(&self.space) + word > self.limit && word < self.limit {
                self.out.push('\n');
                self.current = 0;
                self.space.clear();
            }
        }
    }

    /// Spaces at the end of a line stay only where there is room.
    fn keep_spaces_that_fit(&mut self) {
        if self.word.is_empty() && self.current + width(&self.space) > self.limit {
            self.space.clear();
        }
    }

    fn flush(&mut self) {
        self.current += width(&self.space) + width(&self.word);
        self.out.push_str(&self.space);
        self.out.push_str(&self.word);
        self.space.clear();
        self.word.clear();
    }

    fn end(mut self) -> String {
        self.keep_spaces_that_fit();
        self.flush();
        self.out
    }
}

fn width(text: &str) -> usize {
    text.chars().count()
}

/// Every line behind a margin, empty lines too.
pub(super) fn indent(text: &str, amount: usize) -> String {
    let margin = " ".repeat(amount);
    format!("{margin}{}", text.replace('\n', &format!("\n{margin}")))
}

/// Flows words into lines, but keeps empty lines, lists and what is set off by four spaces.
/// Follows staging/src/k8s.io/kubectl/pkg/explain/formatter.go.
pub(super) fn flow(text: &str, limit: usize) -> Vec<String> {
    let mut flow = Flow {
        limit,
        ..Flow::default()
    };
    for line in text.split('\n') {
        flow.take(line);
    }
    flow.flush();
    flow.lines
}

#[derive(Default)]
struct Flow {
    limit: usize,
    lines: Vec<String>,
    line: String,
    last: String,
}

impl Flow {
    fn take(&mut self, text: &str) {
        if text.starts_with("    ") {
            self.flush();
            self.lines.push(text.to_string());
            return;
        }
        if !self.lines.is_empty() && text.trim().is_empty() {
            self.flush();
            self.lines.push(String::new());
            return;
        }
        if self.last.ends_with(':') || text.trim().is_empty() || is_listed(text.trim()) {
            self.flush();
        }
        for word in text.split_whitespace() {
            self.last = word.to_string();
            if !self.line.is_empty() && self.line.len() + 1 + word.len() > self.limit {
                self.flush();
            }
            if !self.line.is_empty() {
                self.line.push(' ');
            }
            self.line.push_str(word);
        }
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.last.clear();
            self.lines.push(std::mem::take(&mut self.line));
        }
    }
}

/// Whether a line is an item of a list: `1. `, `- ` or `* ` and more.
fn is_listed(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = match digits.len() < text.len() {
        true => digits.strip_prefix('.').unwrap_or(digits),
        false => match text.strip_prefix(['-', '*']) {
            Some(rest) => rest,
            None => return false,
        },
    };
    rest.starts_with(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_breaks_kept() {
        assert_eq!(
            wrap("this is a really good test", 3),
            "this\nis\na\nreally\ngood\ntest"
        );
        assert_eq!(
            wrap("one two\n  three  four \n", 10),
            "one two\n  three\nfour \n"
        );
        assert_eq!(indent("a\n\nb\n", 2), "  a\n  \n  b\n  ");
    }

    #[test]
    fn paragraphs_flow_and_lists_stay() {
        let text = "a line\nthat goes on\n\nList:\n- one\n- two\n    code   kept";
        let lines = [
            "a line that",
            "goes on",
            "",
            "List:",
            "- one",
            "- two",
            "    code   kept",
        ];
        assert_eq!(flow(text, 12), lines);
    }
}
