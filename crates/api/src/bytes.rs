//! Base64, as `[]byte` fields carry it.

/// How many bytes valid base64 text stands for.
pub fn decoded_len(text: &str) -> usize {
    let text = text.trim_end_matches('=');
    text.len() * 3 / 4
}
