//! Objects from files, folders, standard input, URLs and kustomizations.

use crate::error::{Result, said};
use crate::io;
use client::http::Pem;
use client::{Body, HttpConfig, HttpTransport, Request, Transport as _};
use futures::StreamExt as _;
use meta::Value;
use std::path::Path;

/// Where objects come from, as options.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FileArgs {
    /// Filename, directory, or URL to files that contain the objects; `-` is standard input.
    #[arg(short = 'f', long = "filename", value_delimiter = ',')]
    pub filename: Vec<String>,
    /// Process the kustomization directory.
    #[arg(short = 'k', long)]
    pub kustomize: Option<String>,
    /// Process the directory used in -f, --filename recursively.
    #[arg(short = 'R', long)]
    pub recursive: bool,
}

impl FileArgs {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.kustomize.is_none()
    }
}

/// An object and the file that it comes from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file, `STDIN`, or the URL.
    pub source: String,
    /// The object.
    pub object: Value,
}

/// Reads all objects; lists are taken apart.
pub async fn load(files: &FileArgs) -> Result<Vec<Loaded>> {
    if files.kustomize.is_some() && !files.filename.is_empty() {
        return said("only one of '-f' or '-k' can be specified");
    }
    let mut out = Vec::new();
    if let Some(folder) = &files.kustomize {
        for object in crate::commands::kustomize::build(folder)? {
            add(folder, object, &mut out)?;
        }
    }
    for name in &files.filename {
        if name == "-" {
            read(&io::stdin()?, "STDIN", &mut out)?;
        } else if name.starts_with("http://") || name.starts_with("https://") {
            read(&download(name).await?, name, &mut out)?;
        } else {
            for file in expand(name, files.recursive)? {
                read(&io::read(&file)?, &file, &mut out)?;
            }
        }
    }
    Ok(out)
}

fn read(text: &str, source: &str, out: &mut Vec<Loaded>) -> Result {
    for document in codec::yaml::documents(text) {
        let object = if document.trim_start().starts_with('{') {
            // Several JSON objects may follow one another.
            for tree in json_objects(document, source)? {
                add(source, tree, out)?;
            }
            continue;
        } else {
            match codec::yaml::parse(document) {
                Ok(tree) => tree,
                Err(error) => return said(format!("error parsing {source}: {error}")),
            }
        };
        if !object.is_null() {
            add(source, object, out)?;
        }
    }
    Ok(())
}

fn json_objects(text: &str, source: &str) -> Result<Vec<Value>> {
    let stream =
        serde_json::Deserializer::from_str(text).into_iter::<&serde_json::value::RawValue>();
    let mut out = Vec::new();
    for raw in stream {
        let parsed = match raw {
            Ok(raw) => codec::json::parse_value(raw.get().as_bytes()).map_err(|e| e.to_string()),
            // What starts like JSON may still be YAML in flow style.
            Err(_) if out.is_empty() => {
                return codec::yaml::parse(text)
                    .map(|tree| vec![tree])
                    .or_else(|error| said(format!("error parsing {source}: {error}")));
            }
            Err(error) => Err(error.to_string()),
        };
        match parsed {
            Ok(tree) => out.push(tree),
            Err(error) => return said(format!("error parsing {source}: {error}")),
        }
    }
    Ok(out)
}

fn add(source: &str, object: Value, out: &mut Vec<Loaded>) -> Result {
    let kind = object.str_at(&["kind"]);
    if kind.ends_with("List") && object.get("items").is_some_and(|i| i.as_array().is_some()) {
        for item in object.items_at(&["items"]) {
            let head = (object.str_at(&["apiVersion"]), kind);
            let item = if kind == "List" {
                item.clone()
            } else {
                super::whole(item, head)
            };
            add(source, item, out)?;
        }
        return Ok(());
    }
    for (field, words) in [("kind", "'Kind'"), ("apiVersion", "'apiVersion'")] {
        if object.str_at(&[field]).is_empty() {
            return said(match field {
                "kind" => format!(
                    "unable to decode {}: Object {words} is missing in '{}'",
                    crate::words::quote(source),
                    object.to_json()
                ),
                _ => format!(
                    "error validating {0}: error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false",
                    crate::words::quote(source)
                ),
            });
        }
    }
    out.push(Loaded {
        source: source.to_string(),
        object,
    });
    Ok(())
}

/// A file, the manifests of a folder, or what a pattern matches.
fn expand(name: &str, recursive: bool) -> Result<Vec<String>> {
    let path = Path::new(name);
    if path.is_dir() {
        let mut out = Vec::new();
        walk(path, recursive, &mut out)?;
        if out.is_empty() {
            return said(format!(
                "error reading [{name}]: recognized file extensions are [.json .yaml .yml]"
            ));
        }
        return Ok(out);
    }
    if !path.exists() {
        return said(format!(
            "the path {} does not exist",
            crate::words::quote(name)
        ));
    }
    Ok(vec![name.to_string()])
}

fn walk(folder: &Path, recursive: bool, out: &mut Vec<String>) -> Result {
    let words = |error: &std::io::Error| io::file_words("open", &folder.to_string_lossy(), error);
    let entries = std::fs::read_dir(folder).or_else(|error| said(words(&error)))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let known = path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json");
        if path.is_dir() {
            if recursive {
                walk(&path, true, out)?;
            }
        } else if known {
            out.push(path.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

async fn download(url: &str) -> Result<String> {
    let failed = |why: String| {
        said(format!(
            "unable to read URL {}, {why}",
            crate::words::quote(url)
        ))
    };
    let split = url.find("://").map_or(0, |at| at + 3);
    let end = url[split..].find('/').map_or(url.len(), |at| split + at);
    let config = HttpConfig {
        server: url[..end].to_string(),
        ca: Some(Pem::File("/etc/ssl/certs/ca-certificates.crt".into())),
        proxies: crate::config::environment()?,
        ..HttpConfig::default()
    };
    let transport = match HttpTransport::new(&config, stdx::Clock::system()) {
        Ok(transport) => transport,
        Err(error) => return failed(client::chain(&error)),
    };
    let path = if end < url.len() { &url[end..] } else { "/" };
    let request = Request {
        path: path.to_string(),
        ..Request::default()
    };
    let response = match transport.call(request).await {
        Ok(response) => response,
        Err(error) => return failed(client::chain(&error)),
    };
    if !response.status.is_success() {
        return failed(format!(
            "server reported {}, status code={}",
            response.status,
            response.status.as_u16()
        ));
    }
    let bytes = match response.body {
        Body::Full(bytes) => bytes.to_vec(),
        Body::Stream(mut pieces) => {
            let mut all = Vec::new();
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => all.extend_from_slice(&piece),
                    Err(error) => return failed(client::chain(&error)),
                }
            }
            all
        }
        Body::Events(_) => Vec::new(),
    };
    String::from_utf8(bytes).or_else(|_| failed("it is not UTF-8 text".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let text = "# first\n---\napiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: B}\n- {apiVersion: v1, kind: C}\n---\n";
        let mut out = Vec::new();
        read(text, "x", &mut out).expect("manifests");
        read(
            "{\"apiVersion\":\"v1\",\"kind\":\"D\"}\n{\"apiVersion\":\"v1\",\"kind\":\"E\"}",
            "x",
            &mut out,
        )
        .expect("JSON");
        let kinds: Vec<&str> = out.iter().map(|l| l.object.str_at(&["kind"])).collect();
        assert_eq!(kinds, ["A", "B", "C", "D", "E"]);
        assert!(read("a: b", "x", &mut out).is_err());
    }
}
