//! The two spellings of time in the API: `metav1.Time` (RFC 3339 to the
//! second) and `metav1.MicroTime` (to the microsecond), always in UTC.

use jiff::Timestamp;

/// Reads RFC 3339.
pub fn parse(text: &str) -> Option<Timestamp> {
    // jiff takes more than RFC 3339; Go's layout wants `T` and a zone.
    let bytes = text.as_bytes();
    (bytes.len() >= 20 && bytes[10] == b'T')
        .then(|| text.parse().ok())
        .flatten()
}

/// `2006-01-02T15:04:05Z`
pub fn seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2006-01-02T15:04:05.000000Z`
pub fn micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_there_and_back() {
        let at = parse("2024-02-29T23:59:58.25+01:00").expect("a time");
        assert_eq!(seconds(at), "2024-02-29T22:59:58Z");
        assert_eq!(micros(at), "2024-02-29T22:59:58.250000Z");
        assert_eq!(parse("2024-02-29"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
