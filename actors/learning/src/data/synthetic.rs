//! Rows from arithmetic alone: any row of any size of data, the same on every host, without a file.
//!
//! Only wrapping integers until the last step. Columns `x0`, `x1`, … share a factor and have the scales 1,
//! 1/2, 1/4, 1/8, so that plain gradient descent has a hard time; `label` is a noisy linear rule of them,
//! `value` the number that the rule compares with 0. On top there may be holes, and columns of words that say nothing.

use super::DataError;
use super::schema::LEVELS_MAX;
use super::sparse_table::SPARSE_COLUMNS_MAX;

/// What the name of generated data begins with, in place of a path.
pub const SCHEME: &str = "synthetic:";
/// Most columns.
const COLUMNS_MAX: usize = 100_000;
/// Most rows.
const ROWS_MAX: usize = u32::MAX as usize;
/// Target: 1 or 0.
pub(super) const LABEL: &str = "label";
/// Target: a number.
pub(super) const VALUE: &str = "value";

/// Most columns of words.
const WORD_COLUMNS_MAX: u64 = 8;

/// `synthetic:dense?rows=N&cols=N&seed=N`, and if wanted `&holes=N`, `&positive_holes=N`, `&words=N&levels=N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dense {
    pub(super) row_count: usize,
    pub(super) column_count: usize,
    seed: u64,
    /// Of a thousand cells, so many are missing.
    holes: u64,
    /// The same of those cells that are above 0, and no others.
    positive_holes: u64,
    /// Columns of words behind those of numbers.
    word_columns: u64,
    /// Different words.
    levels: u64,
}

impl Dense {
    /// Reads a name that begins with [`SCHEME`].
    ///
    /// # Errors
    /// [`DataError::Generator`] with what is wrong in it.
    pub(super) fn parse(name: &str) -> Result<Self, DataError> {
        let extra =
            [("holes", 1000), ("positive_holes", 1000), ("words", WORD_COLUMNS_MAX), ("levels", LEVELS_MAX as u64)];
        let (Sizes { row_count, column_count, seed }, extra) = Sizes::parse(name, "dense?", extra)?;
        let [holes, positive_holes, word_columns, levels] = extra;
        if (word_columns > 0) != (levels > 0) {
            let reason = "`words` and `levels` go together".to_owned();
            return Err(DataError::Generator { name: name.to_owned(), reason });
        }
        if column_count > COLUMNS_MAX {
            let reason = format!("`cols={column_count}` is not between 1 and {COLUMNS_MAX}");
            return Err(DataError::Generator { name: name.to_owned(), reason });
        }
        Ok(Self { row_count, column_count, seed, holes, positive_holes, word_columns, levels })
    }

    /// The names of all columns.
    pub(super) fn feature_names(&self) -> impl Iterator<Item = String> + use<> {
        let numbers = (0..self.column_count).map(|column| format!("x{column}"));
        numbers.chain((0..self.word_columns).map(|column| format!("c{column}")))
    }

    /// The words of a column, in the order of their codes; none of one of numbers.
    pub(super) fn levels(&self, column: usize) -> Vec<String> {
        let digits = self.levels.saturating_sub(1).to_string().len();
        let count = if column < self.column_count { 0 } else { self.levels };
        (0..count).map(|level| format!("w{level:0digits$}")).collect()
    }

    /// Whether cells may be missing.
    pub(super) fn has_holes(&self) -> bool {
        self.holes + self.positive_holes > 0
    }

    /// Replaces `cells` by those of a row; the result is the number that `label` compares with 0, times 2^21.
    pub(super) fn row(&self, row: usize, weights: &[i64], cells: &mut Vec<f64>) -> i64 {
        cells.clear();
        let (start, shared) = (row as u64 * self.column_count as u64, lanes(self.hash(1, row as u64)));
        let mut sum = 192 * lanes(self.hash(3, row as u64));
        for (column, weight) in weights.iter().enumerate() {
            let cell = (lanes(self.hash(0, start + column as u64)) + shared) << (3 - column % 4);
            cells.push(cell as f64 * CELL_UNIT);
            sum += cell * weight;
        }
        if self.has_holes() {
            cells
                .iter_mut()
                .zip(start..)
                .filter(|(cell, at)| self.is_hole(**cell, *at))
                .for_each(|(cell, _)| *cell = f64::NAN);
        }
        let first_word = row as u64 * WORD_COLUMNS_MAX;
        let word = |column| (self.hash(6, first_word + column) % self.levels.max(1)) as f64;
        cells.extend((0..self.word_columns).map(word));
        sum
    }

    /// Whether the cell of this number is missing.
    fn is_hole(&self, cell: f64, at: u64) -> bool {
        let rate = if cell > 0.0 { self.holes.max(self.positive_holes) } else { self.holes };
        rate > 0 && self.hash(5, at) % 1000 < rate
    }

    /// The weights of the rule, one for each column.
    pub(super) fn weights(&self) -> Vec<i64> {
        weights(self.seed, self.column_count)
    }

    /// The target of that name, of the sum of a row.
    pub(super) fn target(name: &str, sum: i64) -> f64 {
        if name == VALUE { sum as f64 * VALUE_UNIT } else { f64::from(u8::from(sum > 0)) }
    }

    fn hash(&self, kind: u64, index: u64) -> u64 {
        hash(self.seed, kind, index)
    }
}

/// What a name of generated data says behind its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) row_count: usize,
    pub(super) column_count: usize,
    pub(super) seed: u64,
}

impl Sizes {
    /// Reads a name that begins with [`SCHEME`] and goes on with `kind`; `extra` are the keys that it may have besides, each
    /// with the largest number it takes, and 0 if it is not there.
    ///
    /// # Errors
    /// [`DataError::Generator`] with what is wrong in it.
    pub(super) fn parse<const N: usize>(
        name: &str,
        kind: &str,
        extra: [(&str, u64); N],
    ) -> Result<(Self, [u64; N]), DataError> {
        let refused = |reason: String| DataError::Generator { name: name.to_owned(), reason };
        let parameters = name.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix(kind));
        let parameters = parameters.ok_or_else(|| {
            refused("it is not of the form synthetic:dense?rows=…&cols=…&seed=… or synthetic:sparse?…".to_owned())
        })?;
        let (mut rows, mut cols, mut seed, mut others) = (None, None, None, [None; N]);
        for parameter in parameters.split('&') {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let place = match key {
                "rows" => &mut rows,
                "cols" => &mut cols,
                "seed" => &mut seed,
                _ => match extra.iter().position(|(name, _)| *name == key) {
                    Some(place) => &mut others[place],
                    None => {
                        let known = ["rows", "cols", "seed"].into_iter().chain(extra.map(|(name, _)| name));
                        let known = known.collect::<Vec<_>>().join(", ");
                        return Err(refused(format!("`{key}` is none of {known}")));
                    }
                },
            };
            let number: u64 = value.parse().map_err(|_| refused(format!("`{key}={value}` is not a whole number")))?;
            if place.replace(number).is_some() {
                return Err(refused(format!("`{key}` stands twice")));
            }
        }
        let within = |key: &str, value: Option<u64>, max: usize| {
            let value = value.ok_or_else(|| refused(format!("`{key}` is missing")))?;
            let fits = usize::try_from(value).ok().filter(|value| (1..=max).contains(value));
            fits.ok_or_else(|| refused(format!("`{key}={value}` is not between 1 and {max}")))
        };
        let (row_count, column_count) = (within("rows", rows, ROWS_MAX)?, within("cols", cols, SPARSE_COLUMNS_MAX)?);
        for ((key, max), value) in extra.into_iter().zip(&others) {
            if value.is_some() {
                within(key, *value, max as usize)?;
            }
        }
        let sizes = Self { row_count, column_count, seed: seed.unwrap_or(1) };
        Ok((sizes, others.map(Option::unwrap_or_default)))
    }
}

/// The weights of the rules, one for each column.
pub(super) fn weights(seed: u64, column_count: usize) -> Vec<i64> {
    (0..column_count as u64).map(|column| (hash(seed, 2, column) % 17) as i64 - 8).collect()
}

/// Noise of a kind, by its number.
pub(super) fn hash(seed: u64, kind: u64, index: u64) -> u64 {
    mix(mix(seed.wrapping_mul(1_000_003).wrapping_add(kind)) ^ index)
}

/// 2^-18: cells are exact in 32 bits.
const CELL_UNIT: f64 = 1.0 / 262_144.0;
/// 2^-21.
const VALUE_UNIT: f64 = 1.0 / 2_097_152.0;

/// # Source
/// Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014: the output step of SplitMix64.
fn mix(state: u64) -> u64 {
    let mut bits = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The sum of the four quarters, around 0: shaped like a bell.
pub(super) fn lanes(bits: u64) -> i64 {
    let quarters = [0, 16, 32, 48].map(|shift| ((bits >> shift) & 0xFFFF) as i64);
    quarters.iter().sum::<i64>() - 131_070
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense() -> Dense {
        Dense::parse("synthetic:dense?rows=2000&cols=100&seed=1").unwrap()
    }

    #[test]
    fn hashes_and_weights_have_the_published_values() {
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        let hashes = [0, 1, 2].map(|index| dense().hash(0, index));
        assert_eq!(hashes, [0x2510_71fb_98ea_61e5, 0x2e64_466b_2bd6_6a30, 0xf860_fcee_a9c9_f6db]);
        assert_eq!(dense().weights()[..12], [4, -8, -3, 5, 6, -5, -5, 5, -5, 6, 3, -1]);
    }

    #[test]
    fn rows_have_the_published_values() {
        let (dense, mut cells, mut first) = (dense(), Vec::new(), Vec::new());
        let (weights, mut total, mut positive) = (dense.weights(), 0, 0);
        for row in 0..1000 {
            let sum = dense.row(row, &weights, &mut cells);
            positive += usize::from(Dense::target(LABEL, sum) == 1.0);
            total += cells.iter().map(|cell| (cell / CELL_UNIT) as i64).sum::<i64>();
            if row == 0 {
                first = cells[..4].to_vec();
            }
        }
        let expected = [-0.568634033203125, -0.811737060546875, 0.8658370971679688, -0.23212051391601562];
        assert_eq!((first.as_slice(), total, positive), (expected.as_slice(), 953_436_746, 497));
    }

    /// By the formulas: cell `(i, j)` is missing if `H(5, i·d + j) mod 1000` is below the rate, word `c` is `H(6, 8i + c) mod L`.
    #[test]
    fn holes_and_words_come_on_top_and_leave_all_else_as_it_is() {
        let plain = Dense::parse("synthetic:dense?rows=200&cols=10&seed=3").unwrap();
        let row = |dense: &Dense, row: usize| {
            let mut cells = Vec::new();
            (dense.row(row, &dense.weights(), &mut cells), cells)
        };
        for (text, is_hole) in [
            ("holes=100", (|_, bits| bits < 100) as fn(f64, u64) -> bool),
            ("positive_holes=300", |cell, bits| cell > 0.0 && bits < 300),
        ] {
            let name = format!("synthetic:dense?rows=200&cols=10&seed=3&{text}&words=2&levels=12");
            let holed = Dense::parse(&name).unwrap();
            let mut count = 0;
            for number in 0..200 {
                let ((sum, cells), (same_sum, whole)) = (row(&holed, number), row(&plain, number));
                assert_eq!((sum, cells.len()), (same_sum, 12));
                for column in 0..10 {
                    let at = (number * 10 + column) as u64;
                    let expected = is_hole(whole[column], hash(3, 5, at) % 1000);
                    assert_eq!(cells[column].is_nan(), expected);
                    assert!(expected || cells[column] == whole[column]);
                    count += usize::from(expected);
                }
                assert_eq!(cells[11], (hash(3, 6, number as u64 * 8 + 1) % 12) as f64);
            }
            assert!((150..400).contains(&count), "{text} {count}");
            assert_eq!((holed.levels(3), &holed.levels(11)[1..3]), (vec![], &["w01".to_owned(), "w02".to_owned()][..]));
        }
    }

    #[test]
    fn a_name_that_is_wrong_is_told_why() {
        let refused = |name: &str| Dense::parse(name).unwrap_err().to_string();
        assert_eq!(
            refused("synthetic:sprase?rows=1"),
            "synthetic:sprase?rows=1: it is not of the form synthetic:dense?rows=…&cols=…&seed=… or synthetic:sparse?…"
        );
        assert!(refused("synthetic:dense?rows=10").ends_with("`cols` is missing"));
        assert!(refused("synthetic:dense?rows=10&rows=10").ends_with("`rows` stands twice"));
        assert!(refused("synthetic:dense?rows=ten&cols=1").ends_with("`rows=ten` is not a whole number"));
        assert!(refused("synthetic:dense?rows=0&cols=1").ends_with("`rows=0` is not between 1 and 4294967295"));
        assert!(refused("synthetic:dense?rows=1&cols=100001").ends_with("`cols=100001` is not between 1 and 100000"));
        assert!(refused("synthetic:dense?row=1&cols=1").contains("`row` is none of rows, cols, seed, holes, "));
        assert!(refused("synthetic:dense?rows=1&cols=1&words=3").ends_with("`words` and `levels` go together"));
        assert!(refused("synthetic:dense?rows=1&cols=1&holes=1001").ends_with("is not between 1 and 1000"));
        assert_eq!(Dense::parse("synthetic:dense?cols=3&rows=2").unwrap().seed, 1);
    }
}
