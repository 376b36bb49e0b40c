//! Takes the documentation of the API's types out of the sources of
//! `k8s-openapi` and leaves it, compressed, where the crate includes it.
//!
//! A line of the table is `type`, or a tab and `field`, then a tab and the
//! text with its line breaks escaped.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A type: its own text, and that of each field by JSON name.
#[derive(Default)]
struct Described {
    text: String,
    fields: BTreeMap<String, String>,
}

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    let sources = sources()?;
    let mut types = BTreeMap::new();
    walk(&sources, &mut types)?;
    if types.len() < 500 {
        return Err(format!("only {} types found in {}", types.len(), sources.display()).into());
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptions.bin");
    let file = std::fs::File::create(out)?;
    let mut deflate = flate2::write::ZlibEncoder::new(file, flate2::Compression::best());
    deflate.write_all(table(&types).as_bytes())?;
    deflate.finish()?;
    Ok(())
}

/// Where the newest API version's types are, as cargo knows it.
fn sources() -> Result<PathBuf> {
    // On a new machine cargo has fetched what it builds and not all that it knows of.
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    let packages = metadata["packages"].as_array().ok_or("no packages")?;
    let found = packages
        .iter()
        .find(|package| package["name"] == "k8s-openapi")
        .ok_or("k8s-openapi is not among the dependencies")?;
    let manifest = found["manifest_path"].as_str().ok_or("no manifest path")?;
    let root = Path::new(manifest).parent().ok_or("no folder")?.join("src");
    Ok(root.join("v1_37"))
}

fn metadata(arguments: &[&str]) -> Result<serde_json::Value> {
    let manifest = std::env::var("CARGO_MANIFEST_DIR")?;
    let output = Command::new(std::env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--filter-platform"])
        .arg(std::env::var("TARGET")?)
        .arg("--manifest-path")
        .arg(Path::new(&manifest).join("Cargo.toml"))
        .args(arguments)
        .output()?;
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout)?),
        false => Err(format!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into()),
    }
}

fn walk(folder: &Path, types: &mut BTreeMap<String, Described>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, types)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            read(&std::fs::read_to_string(&path)?, types);
        }
    }
    Ok(())
}

/// Reads one source file, which holds one type.
fn read(source: &str, types: &mut BTreeMap<String, Described>) {
    let Some(name) = source
        .lines()
        .find_map(|line| line.strip_prefix("// Generated from definition "))
    else {
        return;
    };
    let json = json_names(source);
    let mut described = Described::default();
    let mut comment = String::new();
    let mut is_inside = false;
    for line in source.lines() {
        let trimmed = line.trim();
        if let Some(text) = trimmed.strip_prefix("///") {
            if !comment.is_empty() {
                comment.push('\n');
            }
            comment.push_str(text.strip_prefix(' ').unwrap_or(text));
            continue;
        }
        if trimmed.starts_with("#[") {
            continue;
        }
        let comment = unescaped(&std::mem::take(&mut comment));
        if !is_inside {
            if trimmed.starts_with("pub struct ") || trimmed.starts_with("pub enum ") {
                described.text = comment;
                is_inside = trimmed.ends_with('{') && trimmed.starts_with("pub struct ");
                if !is_inside {
                    break;
                }
            }
        } else if trimmed == "}" {
            break;
        } else if let Some((field, _)) = trimmed
            .strip_prefix("pub ")
            .and_then(|rest| rest.split_once(':'))
        {
            let field = field.trim_start_matches("r#");
            let field = json.get(field).map_or(field, String::as_str);
            described.fields.insert(field.to_string(), comment);
        }
    }
    types.insert(name.trim().to_string(), described);
}

/// The JSON names by Rust name, read off the deserialiser:
/// `"imagePullPolicy" => Field::Key_image_pull_policy,`.
fn json_names(source: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| {
        let (json, field) = line.trim().split_once("\" => Field::Key_")?;
        Some((
            field.trim_end_matches(',').to_string(),
            json.strip_prefix('"')?.to_string(),
        ))
    };
    source.lines().filter_map(pair).collect()
}

/// Without the backslashes that keep rustdoc from reading markup.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().unwrap_or('\\')),
            c => out.push(c),
        }
    }
    out.trim().to_string()
}

fn table(types: &BTreeMap<String, Described>) -> String {
    let mut out = String::new();
    let escaped = |text: &str| {
        text.replace('\\', "\\\\")
            .replace('\n', "\\n")
            .replace('\t', " ")
    };
    for (name, described) in types {
        out.push_str(&format!("{name}\t{}\n", escaped(&described.text)));
        for (field, text) in &described.fields {
            out.push_str(&format!("\t{field}\t{}\n", escaped(text)));
        }
    }
    out
}
