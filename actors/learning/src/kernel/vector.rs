//! The widest vector instructions that this processor has, for the loops that read the rows.
//!
//! Only the width differs: every operation and the order of all additions are the same with and without,
//! so sums have the same bits on every processor. Fused multiply-add rounds differently and stays off.

#![allow(unsafe_code, reason = "calls a function compiled for instructions that the processor was asked for")]

/// Runs `pass` compiled for the widest instructions at hand. What it calls is compiled so only if it is inlined.
#[inline(always)]
pub(super) fn widest<R>(pass: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has just said that it has the one feature that the function is compiled for.
        return unsafe { with_avx2(pass) };
    }
    pass()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<R>(pass: impl FnOnce() -> R) -> R {
    pass()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_is_that_of_the_pass() {
        let values = [1.5, -2.0, 4.0];
        assert_eq!(widest(|| values.iter().sum::<f64>()), 3.5);
    }
}
