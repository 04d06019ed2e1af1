//! Sets of whole numbers as sorted, disjoint, inclusive ranges; port numbers are the usual case.

use serde::{Deserialize, Serialize};

/// The numbers from `begin` to `end`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Range {
    /// The first number.
    pub begin: u64,
    /// The last number.
    pub end: u64,
}

/// Sorted ranges that neither overlap nor touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Range>", into = "Vec<Range>")]
pub struct Ranges(Vec<Range>);

/// Why ranges were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// The begin lies behind the end.
    #[error("the range {0}-{1} begins behind its end")]
    Reversed(u64, u64),
    /// Two ranges share a number.
    #[error("ranges overlap at {0}")]
    Overlap(u64),
}

impl Ranges {
    /// Checks, sorts and joins ranges.
    ///
    /// # Errors
    /// [`RangesError`] for a reversed range, or for two that share a number.
    pub fn new(mut ranges: Vec<Range>) -> Result<Self, RangesError> {
        if let Some(range) = ranges.iter().find(|range| range.begin > range.end) {
            return Err(RangesError::Reversed(range.begin, range.end));
        }
        ranges.sort_unstable();
        let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.begin <= last.end => return Err(RangesError::Overlap(range.begin)),
                Some(last) if range.begin == last.end + 1 => last.end = range.end,
                _ => joined.push(range),
            }
        }
        Ok(Self(joined))
    }

    /// Whether there is no number.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ranges, sorted.
    pub fn iter(&self) -> impl Iterator<Item = Range> {
        self.0.iter().copied()
    }

    /// The union of two sets without a common number; otherwise nothing.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Self::new(self.iter().chain(other.iter()).collect()).ok()
    }

    /// The numbers that are in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let cut = |a: Range, b: Range| Range { begin: a.begin.max(b.begin), end: a.end.min(b.end) };
        let cuts = self.iter().flat_map(|range| other.iter().map(move |with| cut(range, with)));
        Self(cuts.filter(|range| range.begin <= range.end).collect())
    }

    /// What is left when `other` is taken away; nothing if it is not a subset.
    #[must_use]
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        let mut left = Vec::with_capacity(self.0.len());
        let mut taken = other.iter().peekable();
        for range in self.iter() {
            let mut begin = Some(range.begin);
            while let Some(cut) = taken.next_if(|cut| cut.begin <= range.end) {
                let from = begin.filter(|from| cut.begin >= *from && cut.end <= range.end)?;
                if cut.begin > from {
                    left.push(Range { begin: from, end: cut.begin - 1 });
                }
                begin = cut.end.checked_add(1).filter(|next| *next <= range.end);
            }
            left.extend(begin.map(|begin| Range { begin, end: range.end }));
        }
        taken.peek().is_none().then_some(Self(left))
    }
}

impl TryFrom<Vec<Range>> for Ranges {
    type Error = RangesError;
    fn try_from(ranges: Vec<Range>) -> Result<Self, RangesError> {
        Self::new(ranges)
    }
}

impl From<Ranges> for Vec<Range> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

impl std::fmt::Display for Ranges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ranges: Vec<String> = self.iter().map(|range| format!("{}-{}", range.begin, range.end)).collect();
        write!(f, "[{}]", ranges.join(","))
    }
}
