//! Randomness behind a door: seeded from the machine by default, or from a
//! number, so that a run can be repeated.
//!
//! This is for names, jitter and simulation (xoshiro256++). Keys and tokens
//! come from the cryptographic library, never from here.

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rand::{TryRngCore, rngs::OsRng};
use uuid::Uuid;

/// Upstream's letters for generated names: no vowels and no look-alikes.
/// Follows k8s.io/apimachinery/pkg/util/rand.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A handle to one stream of random numbers. Clones share the stream.
#[derive(Clone, Debug)]
pub struct Rng {
    state: Arc<Mutex<Xoshiro>>,
}

#[derive(Debug)]
struct Xoshiro([u64; 4]);

impl Rng {
    /// A stream that nobody can repeat.
    ///
    /// # Panics
    /// If the kernel refuses to give entropy, as nothing could go on safely.
    pub fn system() -> Self {
        let mut seed = [0; 8];
        if let Err(error) = OsRng.try_fill_bytes(&mut seed) {
            panic!("the kernel gives no random bytes: {error}");
        }
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// The stream of `seed`, the same on every machine.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(Xoshiro::seeded(seed))),
        }
    }

    /// A new stream that shares nothing further with this one. Giving each
    /// component its own keeps one component's draws from shifting another's.
    pub fn fork(&self) -> Self {
        Self::seeded(self.next_u64())
    }

    /// A uniformly random number.
    pub fn next_u64(&self) -> u64 {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    }

    /// A uniformly random number below `bound`, or 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // Lemire's method without the rejection step: the bias is below
        // bound / 2^64, which nothing here can notice.
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A uniformly random number of `range`, or its start if it is empty.
    pub fn range(&self, range: Range<u64>) -> u64 {
        range.start + self.below(range.end.saturating_sub(range.start))
    }

    /// A uniformly random number in [0, 1).
    pub fn unit(&self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True with the given probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items`, if there is any.
    pub fn choose<'a, T>(&self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// Fills `bytes`.
    pub fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let random = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
    }

    /// `duration` lengthened by up to `factor` of itself, as upstream's
    /// wait.Jitter does.
    pub fn jitter(&self, duration: Duration, factor: f64) -> Duration {
        Duration::try_from_secs_f64(duration.as_secs_f64() * (1.0 + factor * self.unit()))
            .unwrap_or(duration)
    }

    /// The five characters that generateName appends.
    pub fn name_suffix(&self) -> String {
        self.name_letters(5)
    }

    /// `count` characters of the alphabet of generated names.
    pub fn name_letters(&self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(NAME_LETTERS[self.below(NAME_LETTERS.len() as u64) as usize]))
            .collect()
    }

    /// A random (version 4) UUID.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }
}

impl Xoshiro {
    /// Spreads the seed over the state with splitmix64, as xoshiro's authors
    /// advise.
    fn seeded(mut seed: u64) -> Self {
        Self(std::array::from_fn(|_| {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = seed;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_stream() {
        let (a, b) = (Rng::seeded(7), Rng::seeded(7));
        let draw = |rng: &Rng| (rng.next_u64(), rng.name_suffix(), rng.uuid());
        assert_eq!(draw(&a), draw(&b));
        assert_eq!(draw(&a.fork()), draw(&b.fork()));
        assert_ne!(draw(&a), draw(&Rng::seeded(8)));
        assert_ne!(Rng::system().next_u64(), Rng::system().next_u64());
    }

    #[test]
    fn draws_stay_in_their_bounds() {
        let rng = Rng::seeded(1);
        for _ in 0..1000 {
            assert!((3..9).contains(&rng.range(3..9)));
            assert!((0.0..1.0).contains(&rng.unit()));
            let jittered = rng.jitter(Duration::from_secs(1), 0.5);
            assert!((1.0..1.5).contains(&jittered.as_secs_f64()));
        }
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.choose::<u8>(&[]), None);
    }

    #[test]
    fn names_and_uuids_have_their_form() {
        let rng = Rng::seeded(2);
        let suffix = rng.name_suffix();
        assert_eq!(suffix.len(), 5);
        assert!(suffix.bytes().all(|letter| NAME_LETTERS.contains(&letter)));
        let uuid = rng.uuid();
        assert_eq!(uuid.get_version_num(), 4);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
    }

    #[test]
    fn shuffle_keeps_the_items() {
        let rng = Rng::seeded(3);
        let mut items: Vec<u32> = (0..100).collect();
        rng.shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
