//! `exp` and `log` where losses need them: the same bits on every processor, and for many rows at a time.
//!
//! Without branches and tables, so that a loop over rows becomes vector instructions. Only additions,
//! multiplications and one division, none of them fused.

/// `log₂ e`.
const LOG2_E: f64 = std::f64::consts::LOG2_E;
/// The first 32 bits of `ln 2`: its products with exponents are exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3FE6_2E42_FEE0_0000);
/// The rest of `ln 2`.
const LN_2_LOW: f64 = f64::from_bits(0x3DEA_39EF_3579_3C76);
/// Added to a number below 2^51, it leaves the nearest whole number in the low bits.
const TO_WHOLE: f64 = 6_755_399_441_055_744.0;
/// Below, results would no longer have all their digits.
const EXPONENT_MIN: f64 = -708.0;
/// `1/13!` down to `1/2!`.
const EXP_TERMS: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
];
/// `2/25` down to `2/3`.
const LOG_TERMS: [f64; 12] = [
    2.0 / 25.0,
    2.0 / 23.0,
    2.0 / 21.0,
    2.0 / 19.0,
    2.0 / 17.0,
    2.0 / 15.0,
    2.0 / 13.0,
    2.0 / 11.0,
    2.0 / 9.0,
    2.0 / 7.0,
    2.0 / 5.0,
    2.0 / 3.0,
];

/// `exp(x)` of a number that is not positive, to 2 units in the last place; below -708 it is 0.
///
/// With `x = k·ln 2 + r`, `2^k` times the Taylor polynomial of degree 13, whose remainder is below 2^-57 for `|r| ≤ ln 2 / 2`.
#[inline(always)]
pub(crate) fn exp_of_negative(x: f64) -> f64 {
    let shifted = x * LOG2_E + TO_WHOLE;
    let whole = shifted - TO_WHOLE;
    let rest = (x - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let mantissa = 1.0 + (rest + rest * rest * polynomial(rest, &EXP_TERMS));
    // The low bits of `shifted` are the whole number, the others leave with the shift.
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x < EXPONENT_MIN { 0.0 } else { mantissa * power }
}

/// `log(1 + x)` for `x` from 0 to 1, to 2 units in the last place.
///
/// With `1 + x = (1 + f)` or `2 (1 + f)`, `|f| ≤ 1/2` and `s = f / (2 + f)`, the series
/// `log(1 + f) = 2 (s + s³/3 + s⁵/5 + …)`, arranged around `f - f²/2` so that the largest term is exact.
#[inline(always)]
pub(crate) fn log_of_one_plus(x: f64) -> f64 {
    let is_large = x >= 0.5;
    let f = if is_large { 0.5 * (x - 1.0) } else { x };
    let s = f / (2.0 + f);
    let square = s * s;
    let half = 0.5 * f * f;
    let (high, low) = if is_large { (LN_2_HIGH, LN_2_LOW) } else { (0.0, 0.0) };
    high + (f - (half - (s * (half + square * polynomial(square, &LOG_TERMS)) + low)))
}

/// Highest power first; in quarters, so that few operations wait for each other.
#[inline(always)]
fn polynomial(x: f64, terms: &[f64; 12]) -> f64 {
    let square = x * x;
    let fourth = square * square;
    let quarter = |i: usize| (terms[i] * x + terms[i + 1]) * square + (terms[i + 2] * x + terms[i + 3]);
    (quarter(0) * fourth + quarter(4)) * fourth + quarter(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::vector::widest;

    /// The difference in units in the last place of the expected number.
    fn ulps(actual: f64, expected: f64) -> f64 {
        let ulp = f64::from_bits(expected.to_bits() + 1) - expected;
        (actual - expected).abs() / ulp
    }

    /// Numbers of all sizes up to `largest`, evenly spread and by powers of two.
    fn samples(largest: f64) -> impl Iterator<Item = f64> {
        let even = (0..=200_000).map(move |i| largest * f64::from(i) / 200_000.0);
        let small = (0..20_000).map(move |i| largest * (-f64::from(i) / 20.0).exp2());
        even.chain(small)
    }

    #[test]
    fn exponentials_are_those_of_libm_to_two_units_in_the_last_place() {
        let worst = samples(708.0).map(|x| ulps(exp_of_negative(-x), libm::exp(-x))).fold(0.0, f64::max);
        println!("exp: {worst} ulp");
        assert!(worst <= 2.0, "{worst}");
        assert_eq!((exp_of_negative(0.0), exp_of_negative(-0.0)), (1.0, 1.0));
        for far in [-709.0, -1e300, f64::NEG_INFINITY] {
            assert_eq!(exp_of_negative(far), 0.0, "{far}");
        }
        assert!(exp_of_negative(f64::NAN).is_nan());
    }

    #[test]
    fn logarithms_are_those_of_libm_to_two_units_in_the_last_place() {
        let worst = samples(1.0).map(|x| ulps(log_of_one_plus(x), libm::log1p(x))).fold(0.0, f64::max);
        println!("log1p: {worst} ulp");
        assert!(worst <= 2.0, "{worst}");
        assert_eq!((log_of_one_plus(0.0), log_of_one_plus(1.0)), (0.0, std::f64::consts::LN_2));
        assert!(log_of_one_plus(f64::NAN).is_nan());
    }

    #[test]
    fn wide_and_narrow_instructions_give_the_same_bits() {
        let values: Vec<f64> = samples(1.0).collect();
        let both = |values: &[f64]| -> Vec<u64> {
            values.iter().map(|x| (log_of_one_plus(*x) + exp_of_negative(-40.0 * x)).to_bits()).collect()
        };
        let wide = widest(
            #[inline(always)]
            || both(&values),
        );
        assert_eq!(wide, both(&values));
    }
}
