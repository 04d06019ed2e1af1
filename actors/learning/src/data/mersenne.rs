//! The generator behind numpy's older random functions, so that rows are shuffled as scikit-learn shuffles them.
//!
//! For nothing else: it is no source of secrets.

/// Words in the state of the generator.
const STATE_WORDS: usize = 624;
/// Distance of the second word that is mixed in.
const TWIST_OFFSET: usize = 397;

/// The 32-bit Mersenne Twister.
///
/// # Source
/// Matsumoto, Nishimura, *Mersenne Twister*, ACM TOMACS 8(1), 1998, with the initialisation of 2002.
pub(super) struct Mt19937 {
    state: [u32; STATE_WORDS],
    next: usize,
}

impl Mt19937 {
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [seed; STATE_WORDS];
        for i in 1..STATE_WORDS {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: STATE_WORDS }
    }

    /// Brings items into an order drawn from all orders: Fisher–Yates from the end, each place by masked rejection.
    ///
    /// # Source
    /// `numpy.random.RandomState.shuffle`.
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for upper in (1..items.len()).rev() {
            let other = self.up_to(u32::try_from(upper).expect("no more rows are shuffled than 32 bits count"));
            items.swap(upper, other as usize);
        }
    }

    /// The numbers `0..count`, shuffled.
    pub(super) fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.shuffle(&mut order);
        order
    }

    /// A number from 0 to `upper`, which is not 0.
    fn up_to(&mut self, upper: u32) -> u32 {
        let mask = u32::MAX >> upper.leading_zeros();
        loop {
            let candidate = self.next_u32() & mask;
            if candidate <= upper {
                return candidate;
            }
        }
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == STATE_WORDS {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    fn twist(&mut self) {
        for i in 0..STATE_WORDS {
            let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE_WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + TWIST_OFFSET) % STATE_WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_gives_the_reference_outputs() {
        let reference: serde_json::Value =
            serde_json::from_str(include_str!("../../../../tests/fixtures/reference.json")).unwrap();
        let mut generator = Mt19937::new(42);
        for expected in reference["split"]["mt19937_seed42_first10_u32"].as_array().unwrap() {
            assert_eq!(u64::from(generator.next_u32()), expected.as_u64().unwrap());
        }
    }
}
