//! Base64, as `[]byte` fields carry it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How many bytes valid base64 text stands for.
pub fn decoded_len(text: &str) -> usize {
    let text = text.trim_end_matches('=');
    text.len() * 3 / 4
}

/// Base64 text of bytes.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The bytes of base64 text; `None` when it is none.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Whether base64 text holds a JSON object; else why not, as Go's decoder says it.
pub(crate) fn json_object(text: &str) -> Result<(), &'static str> {
    let bytes = decode(text).ok_or("illegal base64 data")?;
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes) {
        Ok(_) => Ok(()),
        Err(error) if error.is_eof() => Err("unexpected end of JSON input"),
        Err(error) if error.is_data() => Err("json: cannot unmarshal into an object"),
        Err(_) => Err("invalid character in JSON input"),
    }
}
