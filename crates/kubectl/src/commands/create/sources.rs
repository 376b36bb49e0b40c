//! Data of config maps and secrets: literals, files, folders and env files.
//!
//! Follows staging/src/k8s.io/kubectl/pkg/cmd/create (handle*FromFileSources and friends).

use crate::error::{Result, said};
use crate::io;
use std::path::Path;

/// Where data comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub(super) struct Sources {
    /// Key files can be specified using their file path, in which case a default name is used.
    #[arg(long)]
    from_file: Vec<String>,
    /// Specify a key and literal value to insert (i.e. mykey=somevalue).
    #[arg(long)]
    from_literal: Vec<String>,
    /// Specify the path to a file to read lines of key=val pairs.
    #[arg(long)]
    from_env_file: Vec<String>,
}

impl Sources {
    /// All keys with their values, none twice.
    pub(super) fn entries(&self) -> Result<Vec<(String, Vec<u8>)>> {
        if !self.from_env_file.is_empty()
            && !(self.from_file.is_empty() && self.from_literal.is_empty())
        {
            return said("from-env-file cannot be combined with from-file or from-literal");
        }
        let mut out = Vec::new();
        for literal in &self.from_literal {
            match literal.split_once('=').filter(|(key, _)| !key.is_empty()) {
                Some((key, value)) => add(&mut out, key, unquoted(value).into())?,
                None => {
                    return said(format!(
                        "invalid literal source {literal}, expected key=value"
                    ));
                }
            }
        }
        for source in &self.from_file {
            files(source, &mut out)?;
        }
        for file in &self.from_env_file {
            lines(&io::read(file)?, &mut out)?;
        }
        Ok(out)
    }
}

fn unquoted(value: &str) -> &str {
    let inner = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
    };
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

/// A key that is there twice.
pub(super) fn repeated(entries: &[(String, Vec<u8>)]) -> Option<&str> {
    let earlier = |at: usize, key: &String| entries[..at].iter().any(|(known, _)| known == key);
    let mut keys = entries.iter().enumerate();
    keys.find_map(|(at, (key, _))| earlier(at, key).then_some(key.as_str()))
}

fn add(out: &mut Vec<(String, Vec<u8>)>, key: &str, value: Vec<u8>) -> Result {
    let problems = meta::names::config_map_key(key);
    if !problems.is_empty() {
        return said(format!(
            "{} is not valid key name: {}",
            crate::words::quote(key),
            problems.join(",")
        ));
    }
    out.push((key.to_string(), value));
    Ok(())
}

fn files(source: &str, out: &mut Vec<(String, Vec<u8>)>) -> Result {
    let (key, path) = match source.split_once('=') {
        Some(("", _)) => {
            return said(format!(
                "key name for file path {} missing",
                source.trim_start_matches('=')
            ));
        }
        Some((key, "")) => return said(format!("file path for key name {key} missing")),
        Some((key, path)) => (Some(key), path),
        None => (None, source),
    };
    if Path::new(path).is_dir() {
        if key.is_some() {
            return said("cannot give a key name for a directory path");
        }
        let entries = std::fs::read_dir(path)
            .or_else(|error| said(format!("error listing files in {path}: {error}")))?;
        let mut paths: Vec<_> = entries
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.is_file())
            .collect();
        paths.sort();
        for path in paths {
            let text = path.to_string_lossy();
            add(out, base(&text), io::read_bytes(&text)?)?;
        }
        return Ok(());
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            return said(format!(
                "error reading {path}: {}",
                io::file_words("open", path, &error)
            ));
        }
    };
    add(out, key.unwrap_or(base(path)), bytes)
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn lines(text: &str, out: &mut Vec<(String, Vec<u8>)>) -> Result {
    for line in text.lines() {
        let line = line.trim_start_matches('\u{feff}').trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = match line.split_once('=') {
            Some((key, value)) => (key, value.to_string()),
            None => (line, std::env::var(line).unwrap_or_default()),
        };
        add(out, key, value.into_bytes())?;
    }
    Ok(())
}

/// Follows kubectl's pkg/util/hash: a name's suffix from the content.
pub(super) fn hash_suffix(json: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(json.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let letter = |c: char| match c {
        '0' => 'g',
        '1' => 'h',
        '3' => 'k',
        'a' => 'm',
        'e' => 't',
        other => other,
    };
    hex.chars().take(10).map(letter).collect()
}
