//! The few regular expressions that people write to select objects: literals,
//! `.`, `*`, `+`, `?`, classes, groups of alternatives at the top.

use super::Error;

/// A pattern for a whole text.
pub(super) struct Pattern {
    alternatives: Vec<Vec<(Atom, Repeat)>>,
}

enum Atom {
    Any,
    Char(char),
    Class(Vec<(char, char)>, bool),
}

#[derive(Clone, Copy, PartialEq)]
enum Repeat {
    Once,
    Optional,
    Many,
    Some,
}

impl Pattern {
    /// Reads a pattern; what it cannot read is refused.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.strip_prefix('^').unwrap_or(text);
        let text = text.strip_suffix('$').unwrap_or(text);
        let inner = text
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        let text = inner
            .filter(|inner| !inner.contains(['(', ')']))
            .unwrap_or(text);
        let alternatives = text.split('|').map(sequence);
        Ok(Pattern {
            alternatives: alternatives.collect::<Result<_, _>>()?,
        })
    }

    /// Whether the whole text fits.
    pub(super) fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        self.alternatives.iter().any(|atoms| fits(atoms, &chars))
    }
}

fn sequence(text: &str) -> Result<Vec<(Atom, Repeat)>, Error> {
    let refused = || Error::Unsupported(format!("the regular expression {text:?}"));
    let mut atoms = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let atom = match c {
            '.' => Atom::Any,
            '\\' => match chars.next() {
                Some('d') => Atom::Class(vec![('0', '9')], false),
                Some('w') => {
                    Atom::Class(vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')], false)
                }
                Some(c) if !c.is_alphanumeric() => Atom::Char(c),
                _ => return Err(refused()),
            },
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    match chars.next() {
                        None => return Err(refused()),
                        Some(']') => break,
                        Some(from) => {
                            let to = match chars.next_if_eq(&'-') {
                                Some(_) => {
                                    chars.next().filter(|c| *c != ']').ok_or_else(refused)?
                                }
                                None => from,
                            };
                            ranges.push((from, to));
                        }
                    }
                }
                Atom::Class(ranges, negated)
            }
            '(' | ')' | '{' | '}' | '*' | '+' | '?' | '^' | '$' => return Err(refused()),
            c => Atom::Char(c),
        };
        let repeat = match chars.peek() {
            Some('*') => Repeat::Many,
            Some('+') => Repeat::Some,
            Some('?') => Repeat::Optional,
            _ => Repeat::Once,
        };
        if repeat != Repeat::Once {
            chars.next();
        }
        atoms.push((atom, repeat));
    }
    Ok(atoms)
}

fn fits(atoms: &[(Atom, Repeat)], text: &[char]) -> bool {
    let Some(((atom, repeat), rest)) = atoms.split_first() else {
        return text.is_empty();
    };
    let takes = |c: &char| match atom {
        Atom::Any => true,
        Atom::Char(wanted) => c == wanted,
        Atom::Class(ranges, negated) => {
            ranges.iter().any(|(from, to)| (from..=to).contains(&c)) != *negated
        }
    };
    let (fewest, most) = match repeat {
        Repeat::Once => (1, 1),
        Repeat::Optional => (0, 1),
        Repeat::Many => (0, text.len()),
        Repeat::Some => (1, text.len()),
    };
    let run = text.iter().take(most).take_while(|c| takes(c)).count();
    (fewest..=run).rev().any(|taken| fits(rest, &text[taken..]))
}
