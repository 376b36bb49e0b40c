//! Names of queries, as they came and lower-cased, cut into labels without
//! allocating.

/// The longest name on the wire.
const NAME_MAX: usize = 255;

/// The most labels that fit into it.
const LABELS_MAX: usize = 127;

/// A name without compression, as in a question.
#[derive(Clone)]
pub struct Name {
    wire: [u8; NAME_MAX],
    lower: [u8; NAME_MAX],
    length: u8,
    /// Where each label's length stands.
    starts: [u8; LABELS_MAX],
    count: u8,
}

impl Name {
    /// Reads a name at the start of `bytes`. Questions have no pointers.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut name = Self {
            wire: [0; NAME_MAX],
            lower: [0; NAME_MAX],
            length: 0,
            starts: [0; LABELS_MAX],
            count: 0,
        };
        let mut at = 0;
        loop {
            let size = usize::from(*bytes.get(at)?);
            if size > 63 || at + size + 1 >= NAME_MAX + usize::from(size == 0) {
                return None;
            }
            if size == 0 {
                break;
            }
            *name.starts.get_mut(usize::from(name.count))? = u8::try_from(at).ok()?;
            name.count += 1;
            at += size + 1;
        }
        let whole = bytes.get(..at + 1)?;
        name.length = u8::try_from(whole.len()).ok()?;
        name.wire[..whole.len()].copy_from_slice(whole);
        name.lower[..whole.len()].copy_from_slice(whole);
        // Lengths are below 64 and so no capital letters.
        name.lower[..whole.len()].make_ascii_lowercase();
        Some(name)
    }

    /// Makes a name of text such as `a.b.c` or `a.b.c.`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.trim_end_matches('.').split('.') {
            if label.is_empty() && !wire.is_empty() {
                return None;
            }
            if label.is_empty() {
                break;
            }
            wire.push(u8::try_from(label.len()).ok().filter(|size| *size < 64)?);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        Self::read(&wire)
    }

    /// The name as it came.
    pub fn wire(&self) -> &[u8] {
        &self.wire[..usize::from(self.length)]
    }

    /// The name in lower case.
    pub fn lower(&self) -> &[u8] {
        &self.lower[..usize::from(self.length)]
    }

    /// How many labels it has.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// A label in lower case. What is no text matches nothing, as empty.
    pub fn label(&self, index: usize) -> &str {
        let start = self.start(index);
        let size = usize::from(self.lower[start]);
        std::str::from_utf8(&self.lower[start + 1..start + 1 + size]).unwrap_or_default()
    }

    /// Where a label starts on the wire; past the last, where the name ends.
    pub fn start(&self, index: usize) -> usize {
        if index >= self.count() {
            return usize::from(self.length.max(1)) - 1;
        }
        usize::from(self.starts[index])
    }

    /// Whether this name is `other`, or lies below it.
    pub fn is_within(&self, other: &Self) -> bool {
        other.count() <= self.count()
            && self.lower()[self.start(self.count() - other.count())..] == *other.lower()
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for index in 0..self.count() {
            let start = self.start(index);
            let size = usize::from(self.wire[start]);
            let label = &self.wire[start + 1..start + 1 + size];
            write!(f, "{}.", label.escape_ascii())?;
        }
        if self.count() == 0 {
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        let name = Name::parse("Web.Default.SVC.cluster.local.").unwrap();
        assert_eq!(name.count(), 5);
        assert_eq!(name.label(0), "web");
        assert_eq!(name.label(4), "local");
        assert_eq!(name.to_string(), "Web.Default.SVC.cluster.local.");
        let zone = Name::parse("cluster.local").unwrap();
        assert!(name.is_within(&zone));
        assert!(zone.is_within(&zone));
        assert!(zone.is_within(&Name::parse("").unwrap()));
        assert!(!zone.is_within(&name));
        assert!(!Name::parse("acluster.local").unwrap().is_within(&zone));
        assert_eq!(&name.wire()[name.start(3)..], zone.wire());
        assert_eq!(Name::parse(".").unwrap().count(), 0);
    }

    #[test]
    fn bounds() {
        let label = "a".repeat(63);
        let long = [label.as_str(); 4].join(".");
        assert!(Name::parse(&long).is_none(), "257 bytes");
        let fits = format!("{}.{}", [label.as_str(); 3].join("."), "a".repeat(61));
        assert_eq!(Name::parse(&fits).unwrap().wire().len(), 255);
        assert!(Name::parse(&format!("{fits}a")).is_none());
        assert!(Name::parse(&"a".repeat(64)).is_none());
        let many = ["a"; 127].join(".");
        assert_eq!(Name::parse(&many).unwrap().count(), 127);
        assert!(Name::parse(&["a"; 128].join(".")).is_none());
        assert!(Name::parse("a..b").is_none());
        assert!(Name::read(&[]).is_none());
        assert!(Name::read(&[3, b'a', b'b']).is_none());
        assert!(Name::read(&[0xc0, 12]).is_none(), "a pointer");
    }
}
