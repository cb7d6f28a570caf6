//! The Gram matrix of the centred columns, computed block by block.

use std::ops::Range;

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::Table;
use crate::vector::Vectors;

/// Number of rows that are centred and multiplied at a time, so that the centred copy stays in the cache.
const BLOCK_ROWS: usize = 256;

/// The means of the columns and of the target, which determine the intercept.
pub(super) struct Means {
    pub columns: Vec<f64>,
    pub target: f64,
}

impl Means {
    pub fn of(table: &Table, vectors: Vectors) -> Self {
        let mean = |column| vectors.mean(table.column(column));
        let columns = 0..table.x.columns;
        let columns = if threads() == 1 {
            columns.map(mean).collect()
        } else {
            columns.into_par_iter().map(mean).collect()
        };
        Self { columns, target: vectors.mean(&table.y) }
    }

    /// Return zeros, for a table that is already centred.
    pub fn none(table: &Table) -> Self {
        Self { columns: vec![0.0; table.x.columns], target: 0.0 }
    }
}

/// Return faer's number of threads.
pub(super) fn threads() -> usize {
    faer::get_global_parallelism().degree()
}

/// Return the lower triangle of `AᵀA`, where A is the centred X with the centred y as its last column; `Xᵀy` is the last row.
///
/// Each thread adds up a part of the rows, because splitting each small product among threads would cost more than it saves.
pub(super) fn products(table: &Table, means: &Means, vectors: Vectors) -> Mat<f64> {
    let rows = table.x.rows;
    let length = rows.div_ceil(threads()).next_multiple_of(BLOCK_ROWS);
    if length >= rows {
        return products_of(table, means, 0..rows, vectors);
    }
    let parts: Vec<Mat<f64>> = (0..rows.div_ceil(length))
        .into_par_iter()
        .map(|part| products_of(table, means, part * length..rows.min((part + 1) * length), vectors))
        .collect();
    parts
        .into_iter()
        .reduce(|sum, part| sum + part)
        .unwrap_or_else(|| unreachable!("there is at least one part"))
}

fn products_of(table: &Table, means: &Means, rows: Range<usize>, vectors: Vectors) -> Mat<f64> {
    let columns = table.x.columns;
    let mut gram = Mat::<f64>::zeros(columns + 1, columns + 1);
    let mut block = Mat::<f64>::zeros(BLOCK_ROWS.min(rows.len()), columns + 1);
    for start in rows.clone().step_by(BLOCK_ROWS) {
        let range = start..rows.end.min(start + BLOCK_ROWS);
        let length = range.len();
        for column in 0..columns {
            let centred = &mut contiguous(block.as_mut(), column)[..length];
            vectors.shift(centred, &table.column(column)[range.clone()], means.columns[column]);
        }
        vectors.shift(&mut contiguous(block.as_mut(), columns)[..length], &table.y[range], means.target);
        let centred = block.as_ref().subrows(0, length);
        triangular::matmul(
            gram.as_mut(),
            BlockStructure::TriangularLower,
            Accum::Add,
            centred.transpose(),
            BlockStructure::Rectangular,
            centred,
            BlockStructure::Rectangular,
            1.0,
            Par::Seq,
        );
    }
    gram
}

/// Return one column of an owned matrix, whose columns are contiguous.
pub(super) fn contiguous(matrix: MatMut<'_, f64>, column: usize) -> &mut [f64] {
    let column = matrix.col_mut(column).try_as_col_major_mut();
    column.expect("faer's own matrices are column-major").as_slice_mut()
}
