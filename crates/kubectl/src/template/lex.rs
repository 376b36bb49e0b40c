//! Text to tokens. Follows Go's text/template/parse/lex.go.

use super::Error;

/// What stands in an action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// Text outside of actions.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// Blank characters between words.
    Space,
    /// `.name`
    Field(String),
    /// `.`
    Dot,
    /// `$name`
    Variable(String),
    /// A word.
    Word(String),
    /// A number or character as written.
    Number(String),
    /// A string as written, and its text.
    Quoted(String, String),
    /// `|`, `(`, `)`, `,`, `=` or `:=`
    Sign(&'static str),
    /// The end.
    End,
}

/// A token with the byte where it begins.
pub(super) type Placed = (usize, Token);

/// `template: output:1: why`
pub(super) fn fail<T>(text: &str, pos: usize, why: impl std::fmt::Display) -> Result<T, Error> {
    let line = text[..pos.min(text.len())].matches('\n').count() + 1;
    Err(Error(format!("template: {}:{line}: {why}", super::NAME)))
}

/// All tokens of a template.
pub(super) fn lex(text: &str) -> Result<Vec<Placed>, Error> {
    let mut tokens = Vec::new();
    let (mut pos, mut trim) = (0, false);
    while let Some(found) = text[pos..].find("{{") {
        let open = pos + found;
        let trims_before = is_trim(&text[open + 2..]);
        push_text(&text[pos..open], pos, trim, trims_before, &mut tokens);
        let inner = open + 2 + if trims_before { 2 } else { 0 };
        if text[inner..].starts_with("/*") {
            (pos, trim) = comment(text, inner)?;
            continue;
        }
        tokens.push((open, Token::Open));
        (pos, trim) = action(text, inner, &mut tokens)?;
    }
    push_text(&text[pos..], pos, trim, false, &mut tokens);
    tokens.push((text.len(), Token::End));
    Ok(tokens)
}

fn is_trim(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with([' ', '\t', '\r', '\n']))
}

fn push_text(text: &str, pos: usize, start: bool, end: bool, tokens: &mut Vec<Placed>) {
    let blank = [' ', '\t', '\r', '\n'];
    let text = if start {
        text.trim_start_matches(blank)
    } else {
        text
    };
    let text = if end {
        text.trim_end_matches(blank)
    } else {
        text
    };
    if !text.is_empty() {
        tokens.push((pos, Token::Text(text.to_string())));
    }
}

/// Past a comment, and whether it trims the text behind.
fn comment(text: &str, pos: usize) -> Result<(usize, bool), Error> {
    let Some(end) = text[pos..].find("*/") else {
        return fail(text, pos, "unclosed comment");
    };
    let end = pos + end + 2;
    let rest = &text[end..];
    if rest.starts_with("}}") {
        return Ok((end + 2, false));
    }
    if rest.starts_with([' ', '\t', '\r', '\n']) && rest[1..].starts_with("-}}") {
        return Ok((end + 4, true));
    }
    fail(text, end, "comment ends before closing delimiter")
}

fn action(text: &str, from: usize, tokens: &mut Vec<Placed>) -> Result<(usize, bool), Error> {
    let mut pos = from;
    loop {
        let rest = &text[pos..];
        if rest.starts_with("}}") {
            tokens.push((pos, Token::Close));
            return Ok((pos + 2, false));
        }
        if rest.starts_with([' ', '\t', '\r', '\n']) && rest[1..].starts_with("-}}") {
            tokens.push((pos, Token::Close));
            return Ok((pos + 4, true));
        }
        let Some(first) = rest.chars().next() else {
            return fail(text, pos, "unclosed action");
        };
        let (length, token) = match first {
            ' ' | '\t' | '\r' | '\n' => {
                let is_blank = |c| matches!(c, ' ' | '\t' | '\r' | '\n');
                let mut length = rest.find(|c| !is_blank(c)).unwrap_or(rest.len());
                if rest[length..].starts_with("-}}") {
                    length -= 1;
                }
                (length, Token::Space)
            }
            '"' => quoted(text, pos)?,
            '`' => match rest[1..].find('`') {
                Some(end) => {
                    let raw = rest[1..=end].to_string();
                    (end + 2, Token::Quoted(rest[..end + 2].to_string(), raw))
                }
                None => return fail(text, pos, "unterminated raw quoted string"),
            },
            '\'' => character(text, pos)?,
            '$' => {
                let length = 1 + word_length(&rest[1..]);
                (length, Token::Variable(rest[..length].to_string()))
            }
            '.' if !rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                match word_length(&rest[1..]) {
                    0 => (1, Token::Dot),
                    length => (1 + length, Token::Field(rest[1..=length].to_string())),
                }
            }
            '|' => (1, Token::Sign("|")),
            '(' => (1, Token::Sign("(")),
            ')' => (1, Token::Sign(")")),
            ',' => (1, Token::Sign(",")),
            '=' => (1, Token::Sign("=")),
            ':' if rest.starts_with(":=") => (2, Token::Sign(":=")),
            ':' => return fail(text, pos, "expected :="),
            c if c.is_ascii_digit() || matches!(c, '.' | '+' | '-') => {
                let length = number_length(rest);
                (length, Token::Number(rest[..length].to_string()))
            }
            c if c == '_' || c.is_alphanumeric() => {
                let length = word_length(rest);
                (length, Token::Word(rest[..length].to_string()))
            }
            c => {
                let code = u32::from(c);
                let why = format!("unrecognized character in action: U+{code:04X} '{c}'");
                return fail(text, pos, why);
            }
        };
        tokens.push((pos, token));
        pos += length;
    }
}

fn word_length(text: &str) -> usize {
    text.find(|c: char| c != '_' && !c.is_alphanumeric())
        .unwrap_or(text.len())
}

fn number_length(text: &str) -> usize {
    let mut last = ' ';
    let end = text.char_indices().find(|&(i, c)| {
        let sign = matches!(c, '+' | '-');
        let goes_on = c.is_ascii_alphanumeric()
            || matches!(c, '.' | '_')
            || (sign && (i == 0 || matches!(last, 'e' | 'E' | 'p' | 'P')));
        last = c;
        !goes_on
    });
    end.map_or(text.len(), |(i, _)| i)
}

fn quoted(text: &str, pos: usize) -> Result<(usize, Token), Error> {
    let rest = &text[pos..];
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => break,
            '"' => {
                let source = &rest[..=i];
                let Some(plain) = meta::go::unquote(source) else {
                    return fail(text, pos, "invalid syntax");
                };
                return Ok((i + 1, Token::Quoted(source.to_string(), plain)));
            }
            _ => {}
        }
    }
    fail(text, pos, "unterminated quoted string")
}

fn character(text: &str, pos: usize) -> Result<(usize, Token), Error> {
    let rest = &text[pos..];
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '\n' => break,
            '\'' => return Ok((i + 1, Token::Number(rest[..=i].to_string()))),
            _ => {}
        }
    }
    fail(text, pos, "unterminated character constant")
}
