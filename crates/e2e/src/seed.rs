//! Numbers that look random and are the same each time.

/// A source of them (xorshift64*).
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// From a seed, whose bits are mixed first, so that near seeds differ.
    pub fn new(seed: u64) -> Seeded {
        let mut seeded = Seeded((seed ^ 0x9e37_79b9_7f4a_7c15).max(1));
        for _ in 0..4 {
            seeded.number();
        }
        seeded
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        // The upper bits are the better ones.
        ((self.number() >> 16) % bound as u64) as usize
    }

    /// Up to so many bytes, and at least one.
    pub fn bytes(&mut self, bound: usize) -> Vec<u8> {
        let length = self.below(bound) + 1;
        (0..length).map(|_| (self.number() >> 32) as u8).collect()
    }

    /// One of several; none of none.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        match all.len() {
            0 => None,
            count => all.get(self.below(count)),
        }
    }
}
