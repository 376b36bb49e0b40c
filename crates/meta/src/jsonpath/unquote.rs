//! Go's escapes inside of quotes.

/// The text of a Go string in double or single quotes; nothing when an escape
/// means nothing.
pub(super) fn unquote(text: &str) -> Option<String> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut rest = text.strip_prefix(quote)?.strip_suffix(quote)?.chars();
    let mut out = Vec::new();
    while let Some(c) = rest.next() {
        if c == quote {
            return None;
        }
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let simple = match rest.next()? {
            'a' => b'\x07',
            'b' => b'\x08',
            'f' => b'\x0c',
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => b'\x0b',
            '\\' => b'\\',
            c @ ('"' | '\'') if c == quote => u8::try_from(c).ok()?,
            'x' => u8::try_from(number(&mut rest, 2, 16)?).ok()?,
            'u' => {
                push_char(number(&mut rest, 4, 16)?, &mut out)?;
                continue;
            }
            'U' => {
                push_char(number(&mut rest, 8, 16)?, &mut out)?;
                continue;
            }
            first @ '0'..='7' => {
                let high = first.to_digit(8)?;
                u8::try_from(high * 64 + number(&mut rest, 2, 8)?).ok()?
            }
            _ => return None,
        };
        out.push(simple);
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

fn number(rest: &mut std::str::Chars<'_>, digits: usize, radix: u32) -> Option<u32> {
    (0..digits).try_fold(0_u32, |sum, _| {
        let digit = rest.next()?.to_digit(radix)?;
        sum.checked_mul(radix)?.checked_add(digit)
    })
}

fn push_char(code: u32, out: &mut Vec<u8>) -> Option<()> {
    let c = char::from_u32(code)?;
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    Some(())
}
