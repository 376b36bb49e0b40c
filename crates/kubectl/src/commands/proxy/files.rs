//! Static files beside the API, as Go's http.FileServer serves them; ranges are not served.

use super::server::{Answer, body, moved, text};
use http::{HeaderValue, Method, Request, StatusCode, header};
use std::path::{Component, Path, PathBuf};

const TYPES: [(&str, &str); 16] = [
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webp", "image/webp"),
    ("xml", "text/xml; charset=utf-8"),
];

/// Answers with what lies below a folder.
pub(super) fn answer<B>(request: &Request<B>, folder: &Path, below: &str) -> Answer {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    }
    let Some(path) = place(folder, below) else {
        return text(StatusCode::BAD_REQUEST, "invalid URL path");
    };
    let requested = request.uri().path();
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() && !requested.ends_with('/') => {
            moved(&format!("{requested}/"))
        }
        Ok(metadata) if metadata.is_dir() => match path.join("index.html") {
            index if index.is_file() => file(&index),
            _ => list(&path),
        },
        Ok(_) if requested.ends_with("/index.html") => moved("./"),
        Ok(_) => file(&path),
        Err(error) => refuse(&error),
    }
}

/// The file of a path, if the path stays in the folder.
fn place(folder: &Path, below: &str) -> Option<PathBuf> {
    let below = decode(below)?;
    let mut path = folder.to_path_buf();
    for part in Path::new(&below).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'\0' => return None,
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

fn refuse(error: &std::io::Error) -> Answer {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            text(StatusCode::NOT_FOUND, "404 page not found")
        }
        std::io::ErrorKind::PermissionDenied => text(StatusCode::FORBIDDEN, "403 Forbidden"),
        _ => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "500 Internal Server Error",
        ),
    }
}

fn file(path: &Path) -> Answer {
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) => return refuse(&error),
    };
    let name = path
        .extension()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let known = TYPES.iter().find(|(ending, _)| *ending == name);
    let is_text = || std::str::from_utf8(&content).is_ok();
    let kind = match known {
        Some((_, kind)) => kind,
        None if is_text() => "text/plain; charset=utf-8",
        None => "application/octet-stream",
    };
    typed(content, kind)
}

fn list(folder: &Path) -> Answer {
    let entries =
        std::fs::read_dir(folder).and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
    let entries = match entries {
        Ok(entries) => entries,
        Err(error) => return refuse(&error),
    };
    let mut names: Vec<String> = entries
        .iter()
        .map(|entry| {
            let end = if entry.path().is_dir() { "/" } else { "" };
            format!("{}{end}", entry.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    let lines: String = names
        .iter()
        .map(|name| format!("<a href=\"{}\">{}</a>\n", encode(name), escape(name)))
        .collect();
    let page = format!(
        "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n{lines}</pre>\n"
    );
    typed(page.into_bytes(), "text/html; charset=utf-8")
}

fn typed(content: Vec<u8>, kind: &'static str) -> Answer {
    let mut answer = body(content);
    let kind = HeaderValue::from_static(kind);
    answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    answer
}

fn encode(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn escape(name: &str) -> String {
    name.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(folder: &Path, path: &str) -> (u16, String) {
        let request = Request::get(format!("/static/{path}"))
            .body(())
            .expect("a request");
        let answer = answer(&request, folder, path);
        let header = |name| {
            answer
                .headers()
                .get(name)
                .map(|v: &HeaderValue| v.to_str().unwrap_or(""))
        };
        let told = header(header::LOCATION)
            .or(header(header::CONTENT_TYPE))
            .unwrap_or("");
        (answer.status().as_u16(), told.to_string())
    }

    #[test]
    fn files_are_served_and_nothing_beside_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let www = folder.path().join("www");
        std::fs::create_dir_all(www.join("sub dir")).expect("folders");
        std::fs::write(www.join("a.html"), "<p>").expect("a file");
        std::fs::write(www.join("sub dir/data"), [0xff, 0xfe]).expect("a file");
        std::fs::write(folder.path().join("secret"), "s").expect("a file");
        for (path, status, told) in [
            ("a.html", 200, "text/html; charset=utf-8"),
            ("sub%20dir/data", 200, "application/octet-stream"),
            ("sub%20dir", 301, "/static/sub%20dir/"),
            ("sub%20dir/", 200, "text/html; charset=utf-8"),
            ("no", 404, "text/plain; charset=utf-8"),
            ("../secret", 400, "text/plain; charset=utf-8"),
            ("%2e%2e/secret", 400, "text/plain; charset=utf-8"),
        ] {
            assert_eq!(get(&www, path), (status, told.to_string()), "{path}");
        }
    }
}
