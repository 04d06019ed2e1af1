//! Reads numbers with a unit, such as `1.5s` or `256MiB`, exactly: no rounding, no default unit.
//!
//! Knows nothing of the units themselves: each type brings its own table.

/// A unit's name and how many of the smallest unit it holds.
pub(super) type Unit = (&'static str, u64);

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantityError {
    /// The text does not start with a number where one must stand.
    #[error("`{text}` has no number where one is expected")]
    NoNumber {
        /// The text at fault.
        text: String,
    },
    /// A number without a unit: the reader cannot know what is meant.
    #[error("`{text}` has no unit, write one of {units}")]
    NoUnit {
        /// The text at fault.
        text: String,
        /// The units that would do.
        units: String,
    },
    /// A unit that does not exist.
    #[error("`{text}` has the unknown unit `{unit}`, write one of {units}")]
    UnknownUnit {
        /// The text at fault.
        text: String,
        /// The unit as written.
        unit: String,
        /// The units that would do.
        units: String,
    },
    /// A fraction finer than the smallest unit, or a number beyond the largest value.
    #[error("`{text}` is too large or too fine to be held exactly")]
    NotExact {
        /// The text at fault.
        text: String,
    },
}

/// Splits `part` into its leading number and unit and returns the value in smallest units, and what follows.
///
/// `whole` is the full text, for the error.
pub(super) fn take_quantity<'a>(whole: &str, part: &'a str, units: &[Unit]) -> Result<(u64, &'a str), QuantityError> {
    let number_end = part.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(part.len());
    let (number, rest) = part.split_at(number_end);
    let rest = rest.trim_start();
    let unit_end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let no_number = || QuantityError::NoNumber { text: whole.to_owned() };
    let (digits, fraction_digits) = digits_of(number).ok_or_else(no_number)?;
    let unit_size = unit_size(whole, unit, units)?;
    let value =
        exact(&digits, fraction_digits, unit_size).ok_or_else(|| QuantityError::NotExact { text: whole.to_owned() })?;
    Ok((value, rest))
}

/// The digits without the point, and how many of them stood behind it.
fn digits_of(number: &str) -> Option<(String, u32)> {
    let (integer, fraction) = match number.split_once('.') {
        Some((integer, fraction)) => (integer, Some(fraction)),
        None => (number, None),
    };
    let fraction_is_sound = fraction.is_none_or(|digits| !digits.is_empty() && !digits.contains('.'));
    if integer.is_empty() || !fraction_is_sound {
        return None;
    }
    let fraction = fraction.unwrap_or_default();
    Some((format!("{integer}{fraction}"), u32::try_from(fraction.len()).ok()?))
}

fn unit_size(whole: &str, unit: &str, units: &[Unit]) -> Result<u64, QuantityError> {
    let names = || units.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if unit.is_empty() {
        return Err(QuantityError::NoUnit { text: whole.to_owned(), units: names() });
    }
    let found = units.iter().find(|(name, _)| *name == unit);
    found.map(|(_, size)| *size).ok_or_else(|| QuantityError::UnknownUnit {
        text: whole.to_owned(),
        unit: unit.to_owned(),
        units: names(),
    })
}

fn exact(digits: &str, fraction_digits: u32, unit_size: u64) -> Option<u64> {
    let scaled = digits.parse::<u128>().ok()?.checked_mul(u128::from(unit_size))?;
    let divisor = 10_u128.checked_pow(fraction_digits)?;
    if scaled % divisor != 0 {
        return None;
    }
    u64::try_from(scaled / divisor).ok()
}
