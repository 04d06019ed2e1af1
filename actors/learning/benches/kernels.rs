//! Kernels over one block, as stored in 32 and in 64 bits: `cargo bench -p odeon-learning`.
//!
//! A block of 512 rows stays in a near cache, so this is what instructions take; `odeon bench train` has memory in it.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use ndarray::{Array1, Array2};
use odeon_learning::kernel::{BlockView, Cell, Loss, Predictor, column_sums, objective_curvature, objective_gradient};

const ROWS: usize = 512;
const FEATURES: usize = 100;

fn kernels(criterion: &mut Criterion) {
    let cell = |(row, column): (usize, usize)| ((row * 31 + column * 17) % 101) as f64 / 8.0 - 6.0;
    let wide = Array2::from_shape_fn((ROWS, FEATURES), cell);
    of_storage(criterion, "32 bits", &wide.mapv(|value| value as f32));
    of_storage(criterion, "64 bits", &wide);
}

fn of_storage<T: Cell>(criterion: &mut Criterion, name: &str, x: &Array2<T>) {
    let y = Array1::from_shape_fn(ROWS, |row| (row % 2) as f64);
    let (mean, weights) = ([0.25; FEATURES], [0.01; FEATURES]);
    let predictor = Predictor { mean: &mean, weights: &weights, intercept: 0.5 };
    let Ok(block) = BlockView::new(x.view(), y.view()) else { return };
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("column sums", |bencher| bencher.iter(|| column_sums(black_box(block))));
    for (name, loss) in [("logistic", Loss::Logistic), ("half squared", Loss::HalfSquared)] {
        let gradient = |block| objective_gradient(black_box(block), loss, predictor);
        group.bench_function(format!("gradient, {name}"), |bencher| bencher.iter(|| gradient(block)));
    }
    let curvature = |block| objective_curvature(black_box(block), Loss::Logistic, predictor);
    group.bench_function("curvature, logistic", |bencher| bencher.iter(|| curvature(block)));
    group.finish();
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    kernels(&mut criterion);
    criterion.final_summary();
}
