//! Rows of a block, a few at a time: centred, in 64 bits, and filled up to whole vectors with zeros.
//!
//! A tile is read from memory once and then used from the nearest cache: for margins, gradients, products.

#![allow(
    clippy::needless_range_loop,
    reason = "loops over lanes and rows of fixed number become vector instructions as they stand"
)]

/// Cells that are added side by side: fixed, so that every processor adds in one order.
pub(super) const LANES: usize = 8;
/// Rows of a tile of gradients: it stays in the nearest cache.
pub(super) const GRADIENT_ROWS: usize = 16;
/// Rows whose margins are computed side by side.
const ROWS_TOGETHER: usize = 2;
/// Vectors of sums that are held while the rows of a tile go by.
const VECTORS_TOGETHER: usize = 4;

/// A number as it is stored. All arithmetic is on 64 bits.
pub trait Cell: Copy {
    /// The same number in 64 bits.
    fn wide(self) -> f64;
}

impl Cell for f64 {
    #[inline(always)]
    fn wide(self) -> f64 {
        self
    }
}

impl Cell for f32 {
    #[inline(always)]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

/// Cells that lie side by side and do not straddle the lines of a cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Vector(pub(super) [f64; LANES]);

impl Vector {
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(super) fn add_product(&mut self, a: &Self, b: &Self) {
        for lane in 0..LANES {
            self.0[lane] += a.0[lane] * b.0[lane];
        }
    }

    #[inline(always)]
    pub(super) fn add_scaled(&mut self, factor: f64, a: &Self) {
        for lane in 0..LANES {
            self.0[lane] += factor * a.0[lane];
        }
    }
}

/// The values, and zeros up to the end of the last vector.
pub(super) fn vectors(values: &[f64]) -> Vec<Vector> {
    let vector = |part: &[f64]| {
        let mut vector = Vector::ZERO;
        vector.0[..part.len()].copy_from_slice(part);
        vector
    };
    values.chunks(LANES).map(vector).collect()
}

/// A predictor in vectors.
#[derive(Debug)]
pub(super) struct Plane {
    mean: Vec<Vector>,
    weights: Vec<Vector>,
    intercept: f64,
    /// All bits for the lanes of the last vector that a row fills, none for the others.
    mask: [u64; LANES],
}

impl Plane {
    pub(super) fn new(predictor: &super::Predictor<'_>) -> Self {
        let (mean, weights) = (vectors(predictor.mean), vectors(predictor.weights));
        let filled = predictor.mean.len() % LANES;
        let mask = std::array::from_fn(|lane| if lane < filled { u64::MAX } else { 0 });
        Self { mean, weights, intercept: predictor.intercept, mask }
    }
}

/// Up to `ROWS` rows.
#[derive(Debug)]
pub(super) struct Tile<const ROWS: usize> {
    /// Vectors in a row.
    pub(super) width: usize,
    /// `x - mean`, row by row. Rows that were not read keep what was there before.
    pub(super) centred: Vec<Vector>,
    /// `intercept + weights · (x - mean)` of each row.
    pub(super) margins: [f64; ROWS],
}

impl<const ROWS: usize> Tile<ROWS> {
    pub(super) fn new(feature_count: usize) -> Self {
        let width = feature_count.div_ceil(LANES);
        Self { width, centred: vec![Vector::ZERO; width * ROWS], margins: [0.0; ROWS] }
    }

    /// Takes rows of `feature_count` cells that follow each other, at most `ROWS` of them.
    ///
    /// The forms of these loops are those that the compiler turns into vector instructions: see `benches/kernels.rs`.
    #[inline(always)]
    pub(super) fn read<T: Cell>(&mut self, cells: &[T], feature_count: usize, plane: &Plane) {
        let (width, count) = (self.width, cells.len().checked_div(feature_count).unwrap_or_default());
        let mut dots = [Vector::ZERO; ROWS];
        let mut row = 0;
        while row + ROWS_TOGETHER <= count {
            let (cells, centred) = (&cells[row * feature_count..], &mut self.centred[row * width..]);
            let held = read_rows::<T, ROWS_TOGETHER>(cells, feature_count, plane, centred);
            dots[row..row + ROWS_TOGETHER].copy_from_slice(&held);
            row += ROWS_TOGETHER;
        }
        while row < count {
            let (cells, centred) = (&cells[row * feature_count..], &mut self.centred[row * width..]);
            dots[row] = read_rows::<T, 1>(cells, feature_count, plane, centred)[0];
            row += 1;
        }
        self.margins = [0.0; ROWS];
        for lane in 0..LANES {
            for (margin, dot) in self.margins.iter_mut().zip(&dots) {
                *margin += dot.0[lane];
            }
        }
        self.margins.iter_mut().for_each(|margin| *margin += plane.intercept);
    }

    /// Adds `factor · (x - mean)` of each row to the sums, row after row.
    #[inline(always)]
    pub(super) fn add_scaled(&self, factors: &[f64], sums: &mut [Vector]) {
        let mut column = 0;
        while column + VECTORS_TOGETHER <= self.width {
            self.add_columns::<VECTORS_TOGETHER>(column, factors, sums);
            column += VECTORS_TOGETHER;
        }
        while column < self.width {
            let mut held = sums[column];
            for (row, factor) in self.centred.chunks_exact(self.width).zip(factors) {
                held.add_scaled(*factor, &row[column]);
            }
            sums[column] = held;
            column += 1;
        }
    }

    #[inline(always)]
    fn add_columns<const WIDTH: usize>(&self, column: usize, factors: &[f64], sums: &mut [Vector]) {
        let mut held = [Vector::ZERO; WIDTH];
        held.copy_from_slice(&sums[column..column + WIDTH]);
        for (row, factor) in self.centred.chunks_exact(self.width).zip(factors) {
            let Some(cells) = row[column..].first_chunk::<WIDTH>() else { break };
            for (sum, cells) in held.iter_mut().zip(cells) {
                sum.add_scaled(*factor, cells);
            }
        }
        sums[column..column + WIDTH].copy_from_slice(&held);
    }
}

/// Centres the first rows and multiplies them with the weights, lane by lane.
#[inline(always)]
fn read_rows<T: Cell, const COUNT: usize>(
    cells: &[T],
    feature_count: usize,
    plane: &Plane,
    centred: &mut [Vector],
) -> [Vector; COUNT] {
    let (width, full) = (plane.mean.len(), feature_count / LANES);
    let row_of = |row: usize| cells[row * feature_count..(row + 1) * feature_count].as_chunks::<LANES>().0;
    let rows: [&[[T; LANES]]; COUNT] = std::array::from_fn(row_of);
    let centred = &mut centred[..COUNT * width];
    let mut held = [Vector::ZERO; COUNT];
    for column in 0..full {
        let (mean, weights) = (&plane.mean[column], &plane.weights[column]);
        for row in 0..COUNT {
            let cells = &rows[row][column];
            let mut vector = Vector::ZERO;
            for lane in 0..LANES {
                vector.0[lane] = cells[lane].wide() - mean.0[lane];
            }
            held[row].add_product(&vector, weights);
            centred[row * width + column] = vector;
        }
    }
    if full < width {
        let (mean, weights) = (&plane.mean[full], &plane.weights[full]);
        for row in 0..COUNT {
            let vector = last_vector(&cells[row * feature_count + full * LANES..], mean, &plane.mask);
            held[row].add_product(&vector, weights);
            centred[row * width + full] = vector;
        }
    }
    held
}

/// The end of a row, centred, from where it begins. What is read beyond it, of the next row, is masked out.
#[inline(always)]
fn last_vector<T: Cell>(cells: &[T], mean: &Vector, mask: &[u64; LANES]) -> Vector {
    let mut vector = Vector::ZERO;
    if let Some(cells) = cells.first_chunk::<LANES>() {
        for lane in 0..LANES {
            vector.0[lane] = f64::from_bits((cells[lane].wide() - mean.0[lane]).to_bits() & mask[lane]);
        }
    } else {
        for (lane, cell) in cells.iter().enumerate() {
            vector.0[lane] = f64::from_bits((cell.wide() - mean.0[lane]).to_bits() & mask[lane]);
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::super::{Predictor, centred_dot};
    use super::*;

    #[test]
    fn a_tile_has_the_margins_and_the_sums_of_its_rows_bit_by_bit() {
        for features in [1, 3, 8, 9, 31, 32, 41] {
            let cells: Vec<f64> = (0..7 * features).map(|i| ((i * 7919) % 1009) as f64 / 7.0 - 60.0).collect();
            let mean: Vec<f64> = (0..features).map(|j| j as f64 / 3.0).collect();
            let weights: Vec<f64> = (0..features).map(|j| 0.7 - j as f64 / 11.0).collect();
            let plane = Plane::new(&Predictor { mean: &mean, weights: &weights, intercept: 0.3 });
            let mut tile = Tile::<16>::new(features);
            tile.read(&cells, features, &plane);
            let (mut sums, mut expected) = (vec![Vector::ZERO; tile.width], vec![0.0; features]);
            let factors: Vec<f64> = (0..7).map(|row| row as f64 / 5.0 - 0.4).collect();
            tile.add_scaled(&factors, &mut sums);
            for (row, cells) in cells.chunks(features).enumerate() {
                assert_eq!(tile.margins[row], 0.3 + centred_dot(cells, &mean, &weights), "{features} {row}");
                let terms = cells.iter().zip(&mean).map(|(x, m)| factors[row] * (x - m));
                expected.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            let sums: Vec<f64> = sums.iter().flat_map(|vector| vector.0).collect();
            assert_eq!(sums[..features], expected, "{features}");
            assert!(sums[features..].iter().all(|sum| *sum == 0.0));
        }
    }
}
