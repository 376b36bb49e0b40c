//! What PAX records and GNU long names say about the member after them.

use super::header::Time;

/// What long-name members and PAX records say about the member after them.
#[derive(Default)]
pub(super) struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: bool,
}

impl Extended {
    /// Reads records of the form `length key=value\n`.
    pub(super) fn records(&mut self, mut content: &[u8]) -> Option<()> {
        while !content.is_empty() && content[0] != 0 {
            let space = content.iter().take(20).position(|b| *b == b' ')?;
            let length: usize = ascii(&content[..space])?;
            let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|b| *b == b'=')?;
            self.record(&record[..equals], &record[equals + 1..])?;
            content = &content[length..];
        }
        Some(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        const XATTR: &[u8] = b"SCHILY.xattr.";
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(ascii(value)?),
            b"uid" => self.uid = Some(ascii(value)?),
            b"gid" => self.gid = Some(ascii(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ if key.starts_with(XATTR) => {
                let name = key[XATTR.len()..].to_vec();
                self.xattrs.push((name, value.to_vec()));
            }
            _ => {}
        }
        Some(())
    }
}

fn ascii<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Reads a decimal number of seconds, such as `-1.25`.
fn time(text: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanos: u32 = digits.parse().ok()?;
    if nanos > 0 && whole.starts_with('-') {
        return Some(Time {
            seconds: seconds.checked_sub(1)?,
            nanos: 1_000_000_000 - nanos,
        });
    }
    Some(Time { seconds, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pax_records() {
        let mut extended = Extended::default();
        assert_eq!(extended.records(b"11 path=a\n"), None);
        assert_eq!(extended.records(b"999 path=a\n"), None);
        assert_eq!(extended.records(b"x path=a\n"), None);
        assert_eq!(extended.records(b"3 p\n"), None);
        let fixed = [
            record(b"path", b"a/b"),
            record(b"mtime", b"-1.25"),
            record(b"SCHILY.xattr.user.x", b"\x00\x01\xff"),
            record(b"uid", b"5000000000"),
        ]
        .concat();
        assert_eq!(extended.records(&fixed), Some(()));
        assert_eq!(extended.path.as_deref(), Some(&b"a/b"[..]));
        let want = Time {
            seconds: -2,
            nanos: 750_000_000,
        };
        assert_eq!(extended.mtime, Some(want));
        assert_eq!(extended.uid, Some(5_000_000_000));
        assert_eq!(
            extended.xattrs,
            [(b"user.x".to_vec(), b"\x00\x01\xff".to_vec())]
        );
    }

    fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
        super::super::writer::record(key, value)
    }
}
