//! Shares and weights as exact fractions, so that ties are ties on every machine.
//!
//! Not here: whose share it is. See `sorter`.

use odeon_protocol::resources::Scalar;
use std::cmp::Ordering;

/// Thousandths in one.
const THOUSAND: u128 = 1000;

/// How much a role counts: twice the weight, twice the resources at the same share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u32);

/// Why an amount is not a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a weight: it is above 0 and below 4294967")]
pub struct WeightError(Scalar);

impl Weight {
    /// The weight of a role for which none is set.
    pub const ONE: Self = Self(1000);

    /// Checks and takes an amount.
    ///
    /// # Errors
    /// [`WeightError`] for zero, and for what 32 bits of thousandths do not hold.
    pub fn new(amount: Scalar) -> Result<Self, WeightError> {
        match u32::try_from(amount.thousandths()) {
            Ok(thousandths) if thousandths > 0 => Ok(Self(thousandths)),
            _ => Err(WeightError(amount)),
        }
    }

    pub(crate) fn thousandths(self) -> u32 {
        self.0
    }

    /// The weight as an amount.
    #[must_use]
    pub fn amount(self) -> Scalar {
        Scalar::from_thousandths(u64::from(self.0))
    }
}

/// A dominant share divided by a weight: a fraction of the cluster, ordered by value without rounding.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    numerator: u128,
    denominator: u128,
}

impl Share {
    /// Nothing.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };

    /// `part` of `whole`; nothing if the cluster has none of it.
    ///
    /// Both are sums over agents of 64-bit amounts: below 2^96 for less than 2^32 agents.
    pub(crate) fn of(part: u128, whole: u128) -> Self {
        if whole == 0 { Self::ZERO } else { Self { numerator: part, denominator: whole } }
    }

    /// The share per unit of weight; 2^96 times a weight of 32 bits still fits.
    pub(crate) fn per(self, weight: Weight) -> Self {
        if weight == Weight::ONE {
            return self;
        }
        Self { numerator: self.numerator * THOUSAND, denominator: self.denominator * u128::from(weight.0) }
    }

    /// The share in steps of 2^-48, rounded down, where 64 bits hold all of it: different steps order shares as the
    /// fractions do, at less cost.
    pub(crate) fn steps(self) -> Option<u64> {
        let narrow = |number: u128| u64::try_from(number).ok().map(u128::from);
        u64::try_from((narrow(self.numerator)? << 48) / narrow(self.denominator)?).ok()
    }

    /// The nearest number, for people; decisions compare the fractions.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.denominator == other.denominator {
            return self.numerator.cmp(&other.numerator);
        }
        // Nearly always all four fit 64 bits, and then the products fit 128.
        let narrow = |number: u128| u64::try_from(number).ok().map(u128::from);
        if let (Some(a), Some(b), Some(c), Some(d)) =
            (narrow(self.numerator), narrow(self.denominator), narrow(other.numerator), narrow(other.denominator))
        {
            return (a * d).cmp(&(c * b));
        }
        let left = self.numerator.checked_mul(other.denominator);
        match (left, other.numerator.checked_mul(self.denominator)) {
            (Some(left), Some(right)) => left.cmp(&right),
            _ => compare_by_parts(*self, *other),
        }
    }
}

/// Compares whole parts, then the inverses of what is left, as Euclid's algorithm goes: nothing overflows.
fn compare_by_parts(mut left: Share, mut right: Share) -> Ordering {
    loop {
        let whole = (left.numerator / left.denominator).cmp(&(right.numerator / right.denominator));
        let left_rest = left.numerator % left.denominator;
        let right_rest = right.numerator % right.denominator;
        if whole != Ordering::Equal || left_rest == 0 || right_rest == 0 {
            return whole.then(left_rest.min(1).cmp(&right_rest.min(1)));
        }
        let inverse_of_left = Share { numerator: left.denominator, denominator: left_rest };
        left = Share { numerator: right.denominator, denominator: right_rest };
        right = inverse_of_left;
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_fractions_are_equal_however_they_are_written() {
        assert_eq!(Share::of(1, 3), Share::of(2, 6));
        assert!(Share::of(1, 3) > Share::of(333_333, 1_000_000));
        assert_eq!(Share::of(5, 0), Share::ZERO);
    }

    #[test]
    fn steps_order_shares_as_fractions_do_or_do_not_tell_them_apart() {
        let shares =
            [Share::ZERO, Share::of(1, 1 << 50), Share::of(1, 3), Share::of(333_334, 1_000_000), Share::of(7, 2)];
        for (less, more) in shares.iter().zip(&shares[1..]) {
            assert!(less.steps().unwrap() <= more.steps().unwrap() && less < more);
        }
        assert_eq!(Share::of(1, 3).steps(), Share::of(2, 6).steps());
        assert_eq!((Share::of(1, 1 << 50).steps(), Share::of(1 << 70, 1).steps()), (Some(0), None));
        assert_eq!(Share::of(1 << 40, 1).steps(), None);
    }

    #[test]
    fn a_weight_divides_the_share() {
        let two = Weight::new(Scalar::from_whole(2)).unwrap();
        assert_eq!(Share::of(1, 2).per(two), Share::of(1, 4));
        assert_eq!(Share::of(1, 2).per(Weight::ONE), Share::of(1, 2));
    }

    #[test]
    fn a_weight_is_above_zero_and_fits_32_bits() {
        assert!(Weight::new(Scalar::ZERO).is_err());
        assert!(Weight::new(Scalar::from_thousandths(u64::from(u32::MAX) + 1)).is_err());
        assert_eq!(Weight::new(Scalar::from_thousandths(1)).unwrap().amount(), Scalar::from_thousandths(1));
    }

    #[test]
    fn fractions_too_large_to_multiply_are_still_compared_exactly() {
        let (huge, heavy) = ((1_u128 << 96) - 1, Weight::new(Scalar::from_thousandths(u64::from(u32::MAX))).unwrap());
        let less = Share::of(huge - 2, huge - 1).per(heavy);
        let more = Share::of(huge - 1, huge).per(heavy);
        assert_eq!((less.cmp(&more), more.cmp(&less)), (Ordering::Less, Ordering::Greater));
        assert_eq!(more.cmp(&Share::of(huge - 1, huge).per(heavy)), Ordering::Equal);
    }

    proptest::proptest! {
        #[test]
        fn the_slow_comparison_agrees_with_cross_multiplication(
            a in 0_u64.., b in 1_u64.., c in 0_u64.., d in 1_u64.., k in 1_u64..1000
        ) {
            let share = |n: u64, d: u64| Share::of(u128::from(n), u128::from(d));
            let expected = (u128::from(a) * u128::from(d)).cmp(&(u128::from(c) * u128::from(b)));
            proptest::prop_assert_eq!(compare_by_parts(share(a, b), share(c, d)), expected);
            let scaled = Share::of(u128::from(a) * u128::from(k), u128::from(b) * u128::from(k));
            proptest::prop_assert_eq!(compare_by_parts(share(a, b), scaled), Ordering::Equal);
        }
    }
}
