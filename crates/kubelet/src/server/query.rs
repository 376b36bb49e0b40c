//! Parameters of a request.

/// The parameters of a query, decoded, in their order.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of<B>(request: &http::Request<B>) -> Query {
        Query::parse(request.uri().query().unwrap_or_default())
    }

    pub(super) fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        Query(pairs.map(pair).collect())
    }

    /// The first value of a name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(known, _)| known == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// All values of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }

    /// Whether any of these names is switched on.
    pub(super) fn flag(&self, names: &[&str]) -> bool {
        let mut values = names.iter().filter_map(|name| self.get(name));
        values.any(|value| matches!(value, "1" | "true" | "True" | "TRUE" | "t" | "T"))
    }

    /// A number, if it is there; an error tells its name.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        match self.get(name) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(format!("invalid {name}: {text:?}")),
            },
        }
    }
}

/// Undoes percent-encoding, and `+` for a blank.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| {
            let digit = bytes.get(at + offset).copied()?;
            char::from(digit).to_digit(16)
        };
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read() {
        let query = Query::parse("command=sh&command=-c&command=echo+a%20b%26c&tty=1&n=x&e=");
        let words: Vec<&str> = query.all("command").collect();
        assert_eq!(words, ["sh", "-c", "echo a b&c"]);
        assert!(query.flag(&["tty"]) && !query.flag(&["stdin", "input"]));
        assert_eq!(query.number::<u64>("n"), Err("invalid n: \"x\"".into()));
        assert_eq!(query.number::<u64>("e"), Ok(None));
        assert_eq!(decode("100%"), "100%");
    }
}
