//! `print`, `println` and `printf`, as Go's fmt prints trees.

use super::value::Val;
use meta::{Number, Value, go};

/// Operands side by side, a space between two of which neither is text.
pub(super) fn print(args: &[Val]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        if i > 0 && arg.text().is_none() && args[i - 1].text().is_none() {
            out.push(' ');
        }
        out.push_str(&arg.print());
    }
    out
}

/// Operands with spaces between them, and a newline.
pub(super) fn println(args: &[Val]) -> String {
    let texts: Vec<String> = args.iter().map(Val::print).collect();
    texts.join(" ") + "\n"
}

#[derive(Default)]
struct Flags {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Text with its verbs replaced.
pub(super) fn printf(format: &str, args: &[Val]) -> String {
    let mut out = String::new();
    let mut rest = format.chars().peekable();
    let mut used = 0;
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = Flags::default();
        while let Some(flag) = rest.next_if(|c| "-+0 #".contains(*c)) {
            match flag {
                '-' => flags.minus = true,
                '+' => flags.plus = true,
                '0' => flags.zero = true,
                ' ' => flags.space = true,
                _ => flags.sharp = true,
            }
        }
        flags.width = digits(&mut rest);
        if rest.next_if_eq(&'.').is_some() {
            flags.precision = Some(digits(&mut rest).unwrap_or(0));
        }
        match rest.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.get(used) {
                None => out.push_str(&format!("%!{verb}(MISSING)")),
                Some(arg) => {
                    used += 1;
                    out.push_str(&padded(verbed(arg, verb, &flags), verb, &flags));
                }
            },
        }
    }
    if used < args.len() {
        let extra: Vec<String> = args[used..].iter().map(typed).collect();
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn digits(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<usize> {
    let mut number = None;
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        let digit = digit.to_digit(10).unwrap_or_default() as usize;
        let sum: usize = number.unwrap_or(0) * 10 + digit;
        number = Some(sum.min(1_000_000));
    }
    number
}

fn typed(arg: &Val) -> String {
    match arg.is_nil() {
        true => "<nil>".to_string(),
        false => format!("{}={}", arg.type_name(), arg.print()),
    }
}

fn padded(text: String, verb: char, flags: &Flags) -> String {
    let missing = flags
        .width
        .unwrap_or(0)
        .saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    if flags.zero && !matches!(verb, 's' | 'q' | 'v' | 'T') {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.as_str()),
        };
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    " ".repeat(missing) + &text
}

fn verbed(arg: &Val, verb: char, flags: &Flags) -> String {
    match (verb, arg) {
        ('T', arg) => arg.type_name().to_string(),
        ('v', Val::Tree(value)) if flags.sharp => go::syntax(value),
        ('v', arg) => arg.print(),
        (_, Val::Tree(Value::Array(items))) => {
            let items = items.iter().map(|v| verbed(&v.clone().into(), verb, flags));
            format!("[{}]", items.collect::<Vec<_>>().join(" "))
        }
        (_, Val::Tree(Value::Object(map))) => {
            let entries = map.iter().map(|(key, value)| {
                let key = verbed(&key.into(), verb, flags);
                format!("{key}:{}", verbed(&value.clone().into(), verb, flags))
            });
            format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
        }
        (_, arg) => scalar(arg, verb, flags).unwrap_or_else(|| bad(arg, verb)),
    }
}

fn bad(arg: &Val, verb: char) -> String {
    format!("%!{verb}({})", typed(arg))
}

fn scalar(arg: &Val, verb: char, flags: &Flags) -> Option<String> {
    if let Some(i) = arg.int() {
        return integer(i, verb, flags);
    }
    match arg {
        Val::Tree(Value::Bool(b)) => (verb == 't').then(|| b.to_string()),
        Val::Tree(Value::Number(Number::Float(x))) => float(*x, verb, flags),
        Val::Tree(Value::String(text)) => string(text, verb, flags),
        _ => None,
    }
}

fn integer(i: i64, verb: char, flags: &Flags) -> Option<String> {
    let sign = match (i < 0, flags.plus, flags.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    };
    let size = i.unsigned_abs();
    let prefix = |text| if flags.sharp { text } else { "" };
    Some(match verb {
        'd' => format!("{sign}{size}"),
        'x' => format!("{sign}{}{size:x}", prefix("0x")),
        'X' => format!("{sign}{}{size:X}", prefix("0X")),
        'o' => format!("{sign}{}{size:o}", prefix("0")),
        'b' => format!("{sign}{size:b}"),
        'c' => char::from_u32(u32::try_from(i).ok()?)?.to_string(),
        'q' => format!("'{}'", char::from_u32(u32::try_from(i).ok()?)?),
        'U' => format!("U+{i:04X}"),
        _ => return None,
    })
}

fn float(x: f64, verb: char, flags: &Flags) -> Option<String> {
    let sign = if flags.plus && x >= 0.0 { "+" } else { "" };
    let precision = flags.precision.unwrap_or(6);
    let text = match verb {
        'f' | 'F' => format!("{x:.precision$}"),
        'e' => {
            let text = format!("{x:.precision$e}");
            let (digits, power) = text.split_once('e')?;
            let power: i32 = power.parse().ok()?;
            let mark = if power < 0 { '-' } else { '+' };
            format!("{digits}e{mark}{:02}", power.abs())
        }
        'g' => go::float(x),
        _ => return None,
    };
    Some(format!("{sign}{text}"))
}

fn string(text: &str, verb: char, flags: &Flags) -> Option<String> {
    let cut: String = match flags.precision {
        Some(precision) => text.chars().take(precision).collect(),
        None => text.to_string(),
    };
    Some(match verb {
        's' => cut,
        'q' => meta::field::quote(&cut),
        'x' => cut.bytes().map(|b| format!("{b:02x}")).collect(),
        'X' => cut.bytes().map(|b| format!("{b:02X}")).collect(),
        _ => return None,
    })
}
