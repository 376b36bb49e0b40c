//! Headers that list words: connections' upgrades, and the protocols that are offered.

use http::{HeaderMap, HeaderName};

/// The words of a header that lists some, as they are written.
pub fn words(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter();
    let lines = lines.filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Whether such a header has a word, in letters of whatever size.
pub fn has_word(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let words = words(headers, name);
    words.iter().any(|one| one.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use http::header::CONNECTION;

    #[test]
    fn words_stand_on_one_line_or_several() {
        let mut headers = HeaderMap::new();
        headers.append(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade,"));
        headers.append(CONNECTION, HeaderValue::from_static("x"));
        assert_eq!(words(&headers, &CONNECTION), ["keep-alive", "Upgrade", "x"]);
        assert!(has_word(&headers, &CONNECTION, "upgrade"));
        assert!(!has_word(&headers, &CONNECTION, "keep"));
    }
}
