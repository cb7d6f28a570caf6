//! Two ways to update the correlations of columns with the residual y − Xw while weights change: from the residual itself, or from
//! the products of columns.

use rayon::prelude::*;

use super::Table;
use super::gram::{self, Means};
use crate::vector::Vectors;

/// The residual, as far as coordinate descent needs it.
pub(super) trait Residual {
    /// Return Σx² of a column.
    fn norm(&self, column: usize) -> f64;

    /// Return Σx·r of a column.
    fn correlation(&mut self, column: usize) -> f64;

    /// Subtract `step` times a column from the residual.
    fn take(&mut self, column: usize, step: f64);

    /// Write the correlation of every column, and return ‖r‖² and r·y; the residual is that of `weights`.
    fn sum_up(&mut self, weights: &[f64], correlations: &mut [f64]) -> (f64, f64);
}

/// The number of rows below which a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 20_000;

/// The residual itself: each step is two passes over a vector of one value per row.
///
/// If the table is larger than the caches, the time is that of reading it once per sweep, in any implementation.
pub(super) struct Direct<'a> {
    table: &'a Table,
    vectors: Vectors,
    threads: usize,
    norms: Vec<f64>,
    values: Vec<f64>,
}

impl<'a> Direct<'a> {
    pub fn of(table: &'a Table, vectors: Vectors) -> Self {
        let threads = if table.x.rows < WORTH_A_THREAD { 1 } else { gram::threads() };
        let columns = (0..table.x.columns).map(|column| table.column(column));
        let norms = columns.map(|column| dot(column, column, threads, vectors)).collect();
        Self { table, vectors, threads, norms, values: table.y.clone() }
    }
}

/// Return Σ aᵢ bᵢ; each thread adds up a part.
fn dot(a: &[f64], b: &[f64], threads: usize, vectors: Vectors) -> f64 {
    if threads == 1 {
        return vectors.dot(a, b);
    }
    let length = a.len().div_ceil(threads);
    a.par_chunks(length).zip(b.par_chunks(length)).map(|(a, b)| vectors.dot(a, b)).sum()
}

impl Residual for Direct<'_> {
    fn norm(&self, column: usize) -> f64 {
        self.norms[column]
    }

    fn correlation(&mut self, column: usize) -> f64 {
        dot(self.table.column(column), &self.values, self.threads, self.vectors)
    }

    fn take(&mut self, column: usize, step: f64) {
        let x = self.table.column(column);
        if self.threads == 1 {
            self.vectors.add_scaled(&mut self.values, -step, x);
            return;
        }
        let length = x.len().div_ceil(self.threads);
        let parts = self.values.par_chunks_mut(length).zip(x.par_chunks(length));
        parts.for_each(|(values, x)| self.vectors.add_scaled(values, -step, x));
    }

    fn sum_up(&mut self, _: &[f64], correlations: &mut [f64]) -> (f64, f64) {
        let (values, threads, vectors) = (&self.values, self.threads, self.vectors);
        for (column, correlation) in correlations.iter_mut().enumerate() {
            *correlation = dot(self.table.column(column), values, threads, vectors);
        }
        (dot(values, values, threads, vectors), dot(values, &self.table.y, threads, vectors))
    }
}

/// Products of columns, computed once: each step is a pass over a vector of one value per column.
pub(super) struct Products {
    vectors: Vectors,
    columns: usize,
    /// `XᵀX` in column-major order, and `Xᵀy`.
    gram: Vec<f64>,
    moments: Vec<f64>,
    squared_target: f64,
    /// `Xᵀr`.
    correlations: Vec<f64>,
}

impl Products {
    pub fn of(table: &Table, vectors: Vectors) -> Self {
        let columns = table.x.columns;
        let lower = gram::products(table, &Means::none(table), vectors);
        let product = |row: usize, column: usize| lower[(row.max(column), row.min(column))];
        let gram =
            (0..columns).flat_map(|column| (0..columns).map(move |row| product(row, column))).collect();
        let moments: Vec<f64> = (0..columns).map(|column| product(columns, column)).collect();
        let squared_target = product(columns, columns);
        Self { vectors, columns, gram, correlations: moments.clone(), moments, squared_target }
    }

    fn column(&self, column: usize) -> &[f64] {
        &self.gram[column * self.columns..(column + 1) * self.columns]
    }
}

impl Residual for Products {
    fn norm(&self, column: usize) -> f64 {
        self.column(column)[column]
    }

    fn correlation(&mut self, column: usize) -> f64 {
        self.correlations[column]
    }

    fn take(&mut self, column: usize, step: f64) {
        let products = &self.gram[column * self.columns..(column + 1) * self.columns];
        self.vectors.add_scaled(&mut self.correlations, -step, products);
    }

    fn sum_up(&mut self, weights: &[f64], correlations: &mut [f64]) -> (f64, f64) {
        correlations.copy_from_slice(&self.correlations);
        // With w·Xᵀy and w·Xᵀr, the rest follows from r = y − Xw.
        let explained = self.vectors.dot(weights, &self.moments);
        let residual_times_target = self.squared_target - explained;
        (residual_times_target - self.vectors.dot(weights, &self.correlations), residual_times_target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::{Matrix, Order};

    #[test]
    fn both_ways_give_the_same_numbers() {
        let data: Vec<f64> = (0..600 * 4).map(|i| (f64::from(i * i + i) * 0.618).sin()).collect();
        let y = (0..600).map(|i| (f64::from(i) * 1.3).cos()).collect();
        let table = Table { x: Matrix { rows: 600, columns: 4, order: Order::Fortran, data }, y };
        let (mut direct, mut products) =
            (Direct::of(&table, Vectors::detect()), Products::of(&table, Vectors::detect()));
        let mut ways: [&mut dyn Residual; 2] = [&mut direct, &mut products];
        let weights = [0.5, 0.0, -2.0, 1.0];
        let found = ways.each_mut().map(|way| {
            for (column, weight) in weights.iter().enumerate() {
                way.take(column, *weight);
            }
            let between = way.correlation(1);
            let mut correlations = [0.0; 4];
            let (squared, target) = way.sum_up(&weights, &mut correlations);
            [way.norm(2), between, squared, target, correlations[0], correlations[3]]
        });
        assert!(found[0].iter().zip(&found[1]).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    }
}
