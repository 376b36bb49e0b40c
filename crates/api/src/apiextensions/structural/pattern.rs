//! Patterns in Go's dialect, which is RE2's, told to a library whose dialect
//! differs a little: Perl classes mean ASCII, and within brackets some
//! characters that mean themselves to Go mean something else here.

use regex::{Regex, RegexBuilder};
use std::fmt;

/// The most that a compiled pattern may weigh, in bytes.
const SIZE_MAX: usize = 4 << 20;

/// A pattern, and how it was written.
pub struct Pattern {
    text: String,
    regex: Regex,
}

impl Pattern {
    /// Compiles a pattern; else says why it is none.
    pub fn new(text: &str) -> Result<Self, String> {
        let built = RegexBuilder::new(&translate(text))
            .size_limit(SIZE_MAX)
            .build();
        let regex = built.map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_string()
        })?;
        Ok(Pattern {
            text: text.into(),
            regex,
        })
    }

    /// Whether it is found anywhere in a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// From Go's dialect to the library's.
fn translate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    // How many characters of a bracket have been seen, when one is open.
    let mut open: Option<usize> = None;
    while let Some(c) = chars.next() {
        let seen = open;
        if let Some(seen) = &mut open {
            *seen += 1;
        }
        match (c, seen) {
            ('\\', _) => match chars.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\x0c\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\x0c\\r ]"),
                Some('b') if seen.is_none() => out.push_str("(?-u:\\b)"),
                Some('B') if seen.is_none() => out.push_str("(?-u:\\B)"),
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                }
                None => out.push('\\'),
            },
            ('[', None) => {
                out.push('[');
                open = Some(0);
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
            }
            // The first character of a bracket means itself.
            (']', Some(0)) => out.push_str("\\]"),
            (']', Some(_)) => {
                out.push(']');
                open = None;
            }
            ('[', Some(_)) if chars.peek() == Some(&':') => {
                out.push('[');
                for inner in chars.by_ref() {
                    out.push(inner);
                    if inner == ']' {
                        break;
                    }
                }
            }
            ('[' | '&' | '~', Some(_)) => {
                out.push('\\');
                out.push(c);
            }
            ('-', Some(seen))
                if seen == 0
                    || chars.peek() == Some(&']')
                    || (out.ends_with('-') && !out.ends_with("\\-")) =>
            {
                out.push_str("\\-");
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn patterns_mean_what_they_mean_to_go() {
        for (pattern, text, holds) in [
            (
                r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$",
                "* * * * */5",
                true,
            ),
            (r"^\d$", "٣", false),
            (r"^[\w.-]+$", "a_b.c-d", true),
            (r"^[[a]+$", "[a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[^]]+$", "]", false),
            (r"^[[:alpha:]]+$", "abc", true),
            (r"^[a&&b]+$", "&a", true),
            (r"^[+--]$", ",", true),
            (r"^[^/]*$", "a/b", false),
            (r"\bfoo\b", "a foo b", true),
            (r"^\p{L}+$", "ä", true),
        ] {
            let compiled = Pattern::new(pattern).unwrap_or_else(|e| panic!("{pattern}: {e}"));
            assert_eq!(compiled.is_match(text), holds, "{pattern} {text}");
        }
        assert!(Pattern::new("(").is_err());
    }
}
