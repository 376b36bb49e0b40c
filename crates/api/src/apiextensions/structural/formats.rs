//! Formats of texts that are checked. Follows kube-openapi's pkg/validation/strfmt
//! in which there are; formats that it does not know say nothing.

use base64::Engine as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a text is of a format; true for formats that nobody checks.
pub(super) fn holds(format: &str, text: &str) -> bool {
    match format {
        "byte" => base64::engine::general_purpose::STANDARD
            .decode(text)
            .is_ok(),
        "date" => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
        "date-time" | "datetime" => {
            meta::time::parse(&text.to_ascii_uppercase().replace(' ', "T")).is_some()
        }
        "duration" => is_duration(text),
        "email" => is_email(text),
        "hostname" => is_hostname(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "ip" => text.parse::<IpAddr>().is_ok(),
        "cidr" => crate::check::is_cidr(text),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "uuid" | "uuid3" | "uuid4" | "uuid5" => is_uuid(format, text),
        "hexcolor" => is_hex_color(text),
        _ => true,
    }
}

/// `1h30m`, or a number and a word: `3 days`.
fn is_duration(text: &str) -> bool {
    let unit = |unit: &str| {
        const WORDS: [&str; 7] = ["nano", "micro", "milli", "second", "minute", "hour", "day"];
        matches!(
            unit,
            "ns" | "us" | "µs" | "ms" | "s" | "m" | "h" | "d" | "w"
        ) || WORDS
            .iter()
            .chain(&["week"])
            .any(|word| unit.starts_with(word))
    };
    let mut rest = text.trim().trim_start_matches(['+', '-']);
    if rest == "0" {
        return true;
    }
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let after = rest[digits..].trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        if digits == 0 || !unit(&after[..letters]) {
            return false;
        }
        rest = after[letters..].trim_start();
    }
    true
}

fn is_email(text: &str) -> bool {
    let address = match (text.find('<'), text.strip_suffix('>')) {
        (Some(at), Some(inner)) => &inner[at + 1..],
        _ => text,
    };
    address.rsplit_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && !host.is_empty()
            && !address.contains(char::is_whitespace)
            && !host.starts_with('.')
            && !host.ends_with('.')
    })
}

fn is_hostname(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 255 && name.split('.').all(is_label)
}

fn is_mac(text: &str) -> bool {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    matches!(parts.len(), 6 | 8 | 20)
        && parts
            .iter()
            .all(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// An absolute URI or path, as Go's `url.ParseRequestURI` takes it.
fn is_uri(text: &str) -> bool {
    if text.contains(|c: char| c.is_control() || c == ' ') {
        return false;
    }
    text.starts_with('/')
        || text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
                && rest.starts_with('/')
        })
}

fn is_uuid(format: &str, text: &str) -> bool {
    let plain = text.replace('-', "");
    let version = plain.as_bytes().get(12);
    plain.len() == 32
        && plain.bytes().all(|b| b.is_ascii_hexdigit())
        && format
            .strip_prefix("uuid")
            .is_some_and(|wanted| wanted.is_empty() || version == wanted.as_bytes().first())
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn formats_are_told() {
        for (format, text, is) in [
            ("date-time", "2024-01-01T00:00:00Z", true),
            ("date-time", "yesterday", false),
            ("date", "2024-02-30", false),
            ("ipv4", "10.0.0.1", true),
            ("ipv4", "::1", false),
            ("cidr", "10.0.0.0/8", true),
            ("uri", "https://example.com/x", true),
            ("uri", "nothing", false),
            ("email", "a@example.com", true),
            ("email", "a", false),
            ("hostname", "example.com", true),
            ("hostname", "-a", false),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", true),
            ("uuid4", "123e4567-e89b-12d3-a456-426614174000", false),
            ("mac", "00:11:22:33:44:55", true),
            ("byte", "YQ==", true),
            ("byte", "YQ", false),
            ("duration", "1h30m", true),
            ("duration", "soon", false),
            ("nobody-knows", "x", true),
        ] {
            assert_eq!(holds(format, text), is, "{format} {text}");
        }
    }
}
