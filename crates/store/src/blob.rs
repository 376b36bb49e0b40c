//! The bytes of a value, as they lie in memory.
//!
//! Values are alike: all objects that one template made say the same of who
//! owns their fields, and that is a third of a pod. A part of a value that was
//! seen before is kept once, and the values that have it hold on to it. What a
//! value is does not change by that; it only lies in several places.

use std::{
    borrow::Cow,
    fmt,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

/// The bytes of a value. Clones share them.
#[derive(Clone)]
pub struct Blob(Arc<Parts>);

struct Parts {
    /// What is this value's alone, one piece after the other.
    own: Box<[u8]>,
    /// What it has in common with others.
    shared: Box<[Shared]>,
}

#[derive(Clone)]
struct Shared {
    /// So many of its own bytes stand before it.
    after: u32,
    text: Arc<[u8]>,
}

/// Finds the parts of a value that are likely to stand in others too, in order
/// and apart from one another.
pub type Sharing = fn(&[u8]) -> Vec<Range<usize>>;

/// Parts that are shorter than this are not worth a place of their own.
const SHARED_MIN: usize = 96;
/// Parts that are longer than this are not shared: a place keeps its part when
/// the last value that had it is gone.
const SHARED_MAX: usize = 16 << 10;
/// So many parts are remembered. One that is not seen again soon makes room.
const PLACES: usize = 512;

/// Where values are put into memory: remembers which parts have come before.
pub(crate) struct Pool {
    sharing: Option<Sharing>,
    places: Mutex<Vec<Seen>>,
}

#[derive(Clone)]
enum Seen {
    /// Once, as far as its checksum tells.
    Once(u32),
    Again(Arc<[u8]>),
}

impl Blob {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        let shared = self.0.shared.iter().map(|shared| shared.text.len());
        self.0.own.len() + shared.sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, piece by piece; a piece may be empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let Parts { own, shared } = &*self.0;
        let begins = std::iter::once(0).chain(shared.iter().map(|shared| shared.after as usize));
        let ends = shared.iter().map(|shared| shared.after as usize);
        let ends = ends.chain(std::iter::once(own.len()));
        let texts = shared.iter().map(|shared| &*shared.text);
        let texts = texts.chain(std::iter::once(&[][..]));
        let mine = begins.zip(ends).map(|(begin, end)| &own[begin..end]);
        mine.zip(texts).flat_map(|(mine, shared)| [mine, shared])
    }

    /// Appends the bytes from a place on.
    pub fn write_from(&self, mut skip: usize, out: &mut Vec<u8>) {
        for piece in self.pieces() {
            out.extend_from_slice(piece.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(piece.len());
        }
    }

    /// The bytes in one piece, copied unless they lie so.
    pub fn whole(&self) -> Cow<'_, [u8]> {
        self.whole_from(0)
    }

    /// The bytes from a place on in one piece, copied unless they lie so.
    pub fn whole_from(&self, skip: usize) -> Cow<'_, [u8]> {
        if self.0.shared.is_empty() {
            return Cow::Borrowed(self.0.own.get(skip..).unwrap_or_default());
        }
        let mut whole = Vec::with_capacity(self.len());
        self.write_from(skip, &mut whole);
        Cow::Owned(whole)
    }

    /// Whether the bytes begin with these.
    pub fn starts_with(&self, begin: &[u8]) -> bool {
        let mut rest = begin;
        for piece in self.pieces() {
            let length = piece.len().min(rest.len());
            if piece[..length] != rest[..length] {
                return false;
            }
            rest = &rest[length..];
        }
        rest.is_empty()
    }

    /// The first byte.
    pub fn first(&self) -> Option<u8> {
        self.pieces().find_map(|piece| piece.first().copied())
    }
}

impl<B: AsRef<[u8]>> From<B> for Blob {
    fn from(bytes: B) -> Self {
        Blob(Arc::new(Parts {
            own: bytes.as_ref().into(),
            shared: Box::default(),
        }))
    }
}

impl PartialEq<[u8]> for Blob {
    fn eq(&self, other: &[u8]) -> bool {
        self.len() == other.len() && self.starts_with(other)
    }
}

impl PartialEq<Bytes> for Blob {
    fn eq(&self, other: &Bytes) -> bool {
        *self == **other
    }
}

impl PartialEq<&str> for Blob {
    fn eq(&self, other: &&str) -> bool {
        *self == *other.as_bytes()
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        *self == *other.whole()
    }
}

impl Eq for Blob {}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.whole().escape_ascii())
    }
}

impl Pool {
    pub(crate) fn new(sharing: Option<Sharing>) -> Self {
        let places = Mutex::default();
        Self { sharing, places }
    }

    /// Puts a value into memory.
    pub(crate) fn keep(&self, value: &[u8]) -> Blob {
        let Some(sharing) = self.sharing else {
            return value.into();
        };
        let mut shared = Vec::new();
        let mut rest = 0;
        let mut after = 0;
        for part in sharing(value) {
            let text = value.get(part.clone()).unwrap_or_default();
            if !(SHARED_MIN..=SHARED_MAX).contains(&text.len()) || part.start < rest {
                continue;
            }
            if let Some(text) = self.seen(text) {
                after += part.start - rest;
                rest = part.end;
                shared.push((after as u32, text, part));
            }
        }
        if shared.is_empty() {
            return value.into();
        }
        let mut own = Vec::with_capacity(after + value.len() - rest);
        let mut rest = 0;
        for (_, _, part) in &shared {
            own.extend_from_slice(&value[rest..part.start]);
            rest = part.end;
        }
        own.extend_from_slice(&value[rest..]);
        let shared = shared
            .into_iter()
            .map(|(after, text, _)| Shared { after, text });
        Blob(Arc::new(Parts {
            own: own.into(),
            shared: shared.collect(),
        }))
    }

    /// A part as others have it; none when it comes for the first time.
    fn seen(&self, text: &[u8]) -> Option<Arc<[u8]>> {
        let sum = crc32fast::hash(text);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.is_empty() {
            places.resize(PLACES, Seen::Once(0));
        }
        let place = &mut places[sum as usize % PLACES];
        match place {
            Seen::Again(known) if **known == *text => return Some(known.clone()),
            Seen::Once(known) if *known == sum => {
                let text: Arc<[u8]> = text.into();
                *place = Seen::Again(text.clone());
                return Some(text);
            }
            _ => *place = Seen::Once(sum),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between `<` and `>`, both included.
    fn marked(value: &[u8]) -> Vec<Range<usize>> {
        let ends = |wanted| (0..value.len()).filter(move |at| value[*at] == wanted);
        ends(b'<')
            .zip(ends(b'>'))
            .map(|(from, to)| from..to + 1)
            .collect()
    }

    fn check(pool: &Pool, value: &str, shared: usize) {
        let blob = pool.keep(value.as_bytes());
        let bytes = value.as_bytes();
        assert_eq!(blob, value);
        assert_eq!(blob.0.shared.len(), shared, "{value}");
        assert_eq!((blob.len(), &*blob.whole()), (bytes.len(), bytes));
        assert_eq!(blob.first(), bytes.first().copied());
        for skip in 0..=bytes.len() {
            let mut out = Vec::new();
            blob.write_from(skip, &mut out);
            assert_eq!(out, &bytes[skip..], "from {skip}");
            assert_eq!(&*blob.whole_from(skip), &bytes[skip..], "from {skip}");
            assert!(blob.starts_with(&bytes[..skip]), "with {skip}");
        }
        assert_ne!(blob, Blob::from(format!("{value}.")));
        assert!(!blob.starts_with(format!("{value}.").as_bytes()));
    }

    #[test]
    fn values_are_what_they_were() {
        let pool = Pool::new(Some(marked));
        let (a, b) = (
            format!("<{}>", "a".repeat(200)),
            format!("<{}>", "b".repeat(300)),
        );
        for (value, shared) in [
            (String::new(), 0),
            (a.clone(), 0),
            (a.clone(), 1),
            (format!("1{a}2"), 1),
            (format!("1{a}2{b}3"), 1),
            (format!("{b}1{a}"), 2),
            (format!("{a}{b}"), 2),
            (format!("1<short>2{b}"), 1),
            (format!("1<short>2{b}"), 1),
        ] {
            check(&pool, &value, shared);
        }
        let long = format!("<{}>", "l".repeat(SHARED_MAX));
        for pool in [Pool::new(None), pool] {
            for value in [&long, &long] {
                assert!(pool.keep(value.as_bytes()).0.shared.is_empty());
            }
        }
        check(&Pool::new(None), &a, 0);
    }

    #[test]
    fn what_two_values_have_in_common_is_kept_once() {
        let pool = Pool::new(Some(marked));
        let part = format!("<{}>", "x".repeat(100));
        let kept: Vec<Blob> = (0..4)
            .map(|number| pool.keep(format!("{number}{part}").as_bytes()))
            .collect();
        let text = |blob: &Blob| blob.0.shared[0].text.clone();
        assert!(kept[0].0.shared.is_empty());
        assert!(Arc::ptr_eq(&text(&kept[1]), &text(&kept[3])));
    }
}
