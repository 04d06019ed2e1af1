//! Rows of a block, a few at a time: centred, in 64 bits, and in whole vectors.
//!
//! A tile is read from memory once, for its margins, and then again from the nearest cache, for gradients and products. Its
//! centred cells are made anew each time: to store them, twice as wide, would push the rows that follow out of that cache.

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
/// Vectors of sums and of means that are held while the rows of a tile go by.
const VECTORS_TOGETHER: usize = 2;

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

    /// Vectors in a row.
    pub(super) fn width(&self) -> usize {
        self.mean.len()
    }
}

/// Up to `ROWS` rows, and where a predictor puts them.
#[derive(Debug)]
pub(super) struct Tile<'a, T, const ROWS: usize> {
    /// Rows that follow each other.
    cells: &'a [T],
    feature_count: usize,
    plane: &'a Plane,
    /// `intercept + weights · (x - mean)` of each row; of the rows that are not there, the intercept.
    pub(super) margins: [f64; ROWS],
}

impl<'a, T: Cell, const ROWS: usize> Tile<'a, T, ROWS> {
    /// Reads rows of `feature_count` cells that follow each other, at most `ROWS` of them.
    ///
    /// The forms of these loops are those that the compiler turns into vector instructions: see `benches/kernels.rs`.
    #[inline(always)]
    pub(super) fn read(cells: &'a [T], feature_count: usize, plane: &'a Plane) -> Self {
        let count = cells.len().checked_div(feature_count).unwrap_or_default();
        let mut dots = [Vector::ZERO; ROWS];
        let mut row = 0;
        while row + ROWS_TOGETHER <= count {
            let held = dots_of::<T, ROWS_TOGETHER>(&cells[row * feature_count..], feature_count, plane);
            dots[row..row + ROWS_TOGETHER].copy_from_slice(&held);
            row += ROWS_TOGETHER;
        }
        while row < count {
            dots[row] = dots_of::<T, 1>(&cells[row * feature_count..], feature_count, plane)[0];
            row += 1;
        }
        let mut margins = [0.0; ROWS];
        for lane in 0..LANES {
            for row in 0..ROWS {
                margins[row] += dots[row].0[lane];
            }
        }
        for row in 0..ROWS {
            margins[row] += plane.intercept;
        }
        Self { cells, feature_count, plane, margins }
    }

    /// Adds `factor · (x - mean)` of each row to the sums, row after row.
    #[inline(always)]
    pub(super) fn add_scaled(&self, factors: &[f64], sums: &mut [Vector]) {
        let full = self.feature_count / LANES;
        let mut column = 0;
        while column + VECTORS_TOGETHER <= full {
            self.add_columns::<VECTORS_TOGETHER>(column, factors, sums);
            column += VECTORS_TOGETHER;
        }
        while column < full {
            self.add_columns::<1>(column, factors, sums);
            column += 1;
        }
        if full < self.plane.width() {
            let mut held = sums[full];
            for row in 0..factors.len() {
                held.add_scaled(factors[row], &self.last_vector(row));
            }
            sums[full] = held;
        }
    }

    #[inline(always)]
    fn add_columns<const WIDTH: usize>(&self, column: usize, factors: &[f64], sums: &mut [Vector]) {
        let (sums, means) = (&mut sums[column..], &self.plane.mean[column..]);
        let (Some(sums), Some(means)) = (sums.first_chunk_mut::<WIDTH>(), means.first_chunk::<WIDTH>()) else { return };
        let (mut held, means) = (*sums, *means);
        let mut rest = &self.cells[column * LANES..];
        for row in 0..factors.len() {
            let Some(cells) = rest.as_chunks::<LANES>().0.first_chunk::<WIDTH>() else { break };
            for vector in 0..WIDTH {
                for lane in 0..LANES {
                    let centred = cells[vector][lane].wide() - means[vector].0[lane];
                    held[vector].0[lane] += factors[row] * centred;
                }
            }
            rest = &rest[self.feature_count.min(rest.len())..];
        }
        *sums = held;
    }

    /// Writes `x - mean` of each row in whole vectors, row by row; what is behind the last row stays as it is.
    #[inline(always)]
    pub(super) fn centre_into(&self, centred: &mut [Vector]) {
        let (width, full) = (self.plane.width().max(1), self.feature_count / LANES);
        let rows = self.cells.chunks_exact(self.feature_count.max(1)).zip(centred.chunks_exact_mut(width));
        for (row, (cells, centred)) in rows.enumerate() {
            for ((vector, cells), mean) in centred.iter_mut().zip(cells.as_chunks::<LANES>().0).zip(&self.plane.mean) {
                for lane in 0..LANES {
                    vector.0[lane] = cells[lane].wide() - mean.0[lane];
                }
            }
            if full < self.plane.width() {
                centred[full] = self.last_vector(row);
            }
        }
    }

    #[inline(always)]
    fn last_vector(&self, row: usize) -> Vector {
        last_vector(&self.cells[row * self.feature_count..], self.feature_count, self.plane)
    }
}

/// Centres the first rows and multiplies them with the weights, lane by lane.
#[inline(always)]
fn dots_of<T: Cell, const COUNT: usize>(cells: &[T], feature_count: usize, plane: &Plane) -> [Vector; COUNT] {
    let full = feature_count / LANES;
    let row_of = |row: usize| &cells[row * feature_count..(row + 1) * feature_count].as_chunks::<LANES>().0[..full];
    let rows: [&[[T; LANES]]; COUNT] = std::array::from_fn(row_of);
    let (means, weights) = (&plane.mean[..full], &plane.weights[..full]);
    let mut held = [Vector::ZERO; COUNT];
    for column in 0..full {
        for row in 0..COUNT {
            for lane in 0..LANES {
                let centred = rows[row][column][lane].wide() - means[column].0[lane];
                held[row].0[lane] += centred * weights[column].0[lane];
            }
        }
    }
    if full < plane.width() {
        for row in 0..COUNT {
            let vector = last_vector(&cells[row * feature_count..], feature_count, plane);
            held[row].add_product(&vector, &plane.weights[full]);
        }
    }
    held
}

/// The end of the first row, centred. What is read beyond it, of the next row, is masked out.
#[inline(always)]
fn last_vector<T: Cell>(cells: &[T], feature_count: usize, plane: &Plane) -> Vector {
    let full = feature_count / LANES;
    let (cells, mean, mut vector) = (&cells[full * LANES..], &plane.mean[full], Vector::ZERO);
    if let Some(cells) = cells.first_chunk::<LANES>() {
        for lane in 0..LANES {
            vector.0[lane] = f64::from_bits((cells[lane].wide() - mean.0[lane]).to_bits() & plane.mask[lane]);
        }
    } else {
        for (lane, cell) in cells.iter().enumerate() {
            vector.0[lane] = f64::from_bits((cell.wide() - mean.0[lane]).to_bits() & plane.mask[lane]);
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
            let tile = Tile::<_, 16>::read(&cells, features, &plane);
            let (mut sums, mut expected) = (vec![Vector::ZERO; plane.width()], vec![0.0; features]);
            let mut centred = vec![Vector::ZERO; 8 * plane.width()];
            tile.centre_into(&mut centred);
            let factors: Vec<f64> = (0..7).map(|row| row as f64 / 5.0 - 0.4).collect();
            tile.add_scaled(&factors, &mut sums);
            for (row, cells) in cells.chunks(features).enumerate() {
                assert_eq!(tile.margins[row], 0.3 + centred_dot(cells, &mean, &weights), "{features} {row}");
                let terms = cells.iter().zip(&mean).map(|(x, m)| factors[row] * (x - m));
                expected.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                let centred = centred[row * plane.width()..].iter().flat_map(|vector| vector.0).take(features);
                assert!(centred.eq(cells.iter().zip(&mean).map(|(x, m)| x - m)), "{features} {row}");
            }
            let sums: Vec<f64> = sums.iter().flat_map(|vector| vector.0).collect();
            assert_eq!(sums[..features], expected, "{features}");
            assert!(sums[features..].iter().all(|sum| *sum == 0.0));
            assert!(centred[7 * plane.width()..].iter().all(|vector| vector.0 == [0.0; LANES]));
        }
    }
}
