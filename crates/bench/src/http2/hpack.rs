//! Heads of requests (RFC 7541). What each request of a connection repeats is
//! sent in full once and named by its index from then on.

use super::request::{Method, Request};

/// Indices of the static table.
mod index {
    pub const AUTHORITY: u8 = 1;
    pub const METHOD: u8 = 2;
    pub const METHOD_GET: u8 = 2;
    pub const METHOD_POST: u8 = 3;
    pub const PATH: u8 = 4;
    pub const SCHEME_HTTPS: u8 = 7;
    pub const ACCEPT: u8 = 19;
    pub const AUTHORIZATION: u8 = 23;
    pub const CONTENT_LENGTH: u8 = 28;
    pub const CONTENT_TYPE: u8 = 31;
    pub const USER_AGENT: u8 = 58;
    pub const FIRST_DYNAMIC: u8 = 62;
}

/// Makes the heads of one connection's requests.
#[derive(Debug)]
pub struct Heads {
    /// What all requests repeat, by index of the name.
    constants: Vec<(u8, String)>,
    introduced: bool,
}

impl Heads {
    /// For requests to one server under one identity.
    pub fn new(authority: &str, bearer: Option<&str>) -> Self {
        let mut constants = vec![
            (index::AUTHORITY, authority.to_owned()),
            (index::USER_AGENT, "tiphys-bench".to_owned()),
            (index::ACCEPT, "application/json".to_owned()),
        ];
        if let Some(token) = bearer {
            constants.push((index::AUTHORIZATION, format!("Bearer {token}")));
        }
        Heads {
            constants,
            introduced: false,
        }
    }

    /// Appends the head of the next request.
    pub fn write(&mut self, request: &Request, out: &mut Vec<u8>) {
        match request.method {
            Method::Get => out.push(0x80 | index::METHOD_GET),
            Method::Post => out.push(0x80 | index::METHOD_POST),
            other => literal(out, index::METHOD, other.as_str()),
        }
        out.push(0x80 | index::SCHEME_HTTPS);
        literal(out, index::PATH, &request.path);
        self.write_constants(out);
        if !request.body.is_empty() {
            literal(out, index::CONTENT_TYPE, request.method.content_type());
            literal(out, index::CONTENT_LENGTH, &request.body.len().to_string());
        }
    }

    fn write_constants(&mut self, out: &mut Vec<u8>) {
        let count = self.constants.len() as u8;
        for (at, (name, value)) in (0..).zip(&self.constants) {
            if self.introduced {
                out.push(0x80 | (index::FIRST_DYNAMIC + count - 1 - at));
            } else {
                integer(out, 0x40, 6, usize::from(*name));
                string(out, value);
            }
        }
        self.introduced = true;
    }
}

/// A header that is not to be remembered.
fn literal(out: &mut Vec<u8>, name: u8, value: &str) {
    integer(out, 0x00, 4, usize::from(name));
    string(out, value);
}

fn string(out: &mut Vec<u8>, text: &str) {
    integer(out, 0x00, 7, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// An integer below flags in its first byte (section 5.1).
fn integer(out: &mut Vec<u8>, flags: u8, bits: u32, value: usize) {
    let limit = (1 << bits) - 1;
    if value < limit {
        return out.push(flags | value as u8);
    }
    out.push(flags | limit as u8);
    let mut rest = value - limit;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_in_the_standard() {
        let encoded = |bits, value| {
            let mut out = Vec::new();
            integer(&mut out, 0, bits, value);
            out
        };
        assert_eq!(encoded(5, 10), [10]);
        assert_eq!(encoded(5, 1337), [31, 154, 10]);
        assert_eq!(encoded(8, 42), [42]);
    }

    #[test]
    fn the_second_head_names_what_the_first_said() {
        let mut heads = Heads::new("a:1", None);
        let request = Request::get("/x");
        let (mut first, mut second) = (Vec::new(), Vec::new());
        heads.write(&request, &mut first);
        heads.write(&request, &mut second);
        assert_eq!(second, [0x82, 0x87, 0x04, 2, b'/', b'x', 0xc0, 0xbf, 0xbe]);
        assert!(first.len() > 2 * second.len());
    }
}
