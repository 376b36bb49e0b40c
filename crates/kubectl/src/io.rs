//! Standard streams. A reader that goes away ends the program quietly.

use crate::error::{Result, said};
use std::io::{Read as _, Write as _};

/// Writes to standard output.
pub fn out(text: &str) {
    bytes(text.as_bytes());
}

/// Writes bytes to standard output.
pub fn bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .is_err()
    {
        std::process::exit(1);
    }
}

/// Writes a line to standard output.
pub fn line(text: impl AsRef<str>) {
    let mut whole = text.as_ref().to_string();
    whole.push('\n');
    out(&whole);
}

/// Writes a line to standard error.
pub fn warn(text: impl AsRef<str>) {
    // Nobody is left to hear of a broken standard error.
    let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
}

/// All of standard input.
pub fn stdin() -> Result<String> {
    let mut text = String::new();
    match std::io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => said(format!("error reading STDIN: {error}")),
    }
}

/// A file, or standard input for `-`.
pub fn read(path: &str) -> Result<String> {
    if path == "-" {
        return stdin();
    }
    String::from_utf8(read_bytes(path)?)
        .or_else(|_| said(format!("the file {path:?} is not UTF-8 text")))
}

/// A file's bytes.
pub fn read_bytes(path: &str) -> Result<Vec<u8>> {
    std::fs::read(path).or_else(|error| said(file_words("open", path, &error)))
}

/// An error about a file, as Go words it: `open a: no such file or directory`.
pub fn file_words(operation: &str, path: &str, error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = words.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    let words: String = first.into_iter().chain(letters).collect();
    format!("{operation} {path}: {words}")
}
