//! Least squares with an intercept, by QR or by the normal equations, on faer.
//!
//! The solution must be unique: there must be more rows than columns, and the columns must be linearly independent.

use duet_worker::{Error, Result};
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::qr::no_pivoting::factor::{self, QrParams};
use faer::linalg::solvers::Solve as _;
use faer::linalg::triangular_solve::solve_upper_triangular_in_place;
use faer::{Auto, Mat, Side, Spec};

use super::gram::{self, Means, contiguous};
use super::{Fit, Table};
use crate::vector::Vectors;

/// The block size of QR, and the number of elements below which it works without blocks. These were the fastest in measurements
/// from 353 × 10 to 20,000 × 100; faer's defaults are up to a third slower at both ends.
const QR_BLOCK: usize = 16;
const QR_UNBLOCKED_BELOW: usize = 100_000;

/// Columns are dependent if a diagonal element of R is at most this fraction of the largest.
const DEPENDENT: f64 = 1e-13;

/// Fit by QR of the centred columns and the target, which gives `Qᵀy` as the last column of R.
pub(super) fn by_qr(table: &Table, vectors: Vectors) -> Result<Fit> {
    let (rows, columns) = (table.x.rows, table.x.columns);
    let means = Means::of(table, vectors);
    let mut work = Mat::<f64>::zeros(rows, columns + 1);
    for column in 0..columns {
        vectors.shift(contiguous(work.as_mut(), column), table.column(column), means.columns[column]);
    }
    vectors.shift(contiguous(work.as_mut(), columns), &table.y, means.target);

    let parallelism = faer::get_global_parallelism();
    let params = qr_params();
    let width = columns + 1;
    let mut reflectors = Mat::<f64>::zeros(QR_BLOCK.min(width), width);
    let scratch = factor::qr_in_place_scratch::<f64>(rows, width, reflectors.nrows(), parallelism, params);
    let mut buffer = MemBuffer::new(scratch);
    factor::qr_in_place(work.as_mut(), reflectors.as_mut(), parallelism, MemStack::new(&mut buffer), params);

    let (left, right) = work.as_mut().split_at_col_mut(columns);
    let sizes = (0..columns).map(|column| left[(column, column)].abs());
    let (smallest, largest) =
        sizes.fold((f64::INFINITY, 0.0_f64), |(low, high), size| (low.min(size), high.max(size)));
    if smallest <= DEPENDENT * largest {
        return Err(dependent());
    }
    let mut solution = right.subrows_mut(0, columns);
    solve_upper_triangular_in_place(left.as_ref().subrows(0, columns), solution.as_mut(), parallelism);
    finished(solution.as_ref().col(0).iter().copied().collect(), &means, vectors)
}

fn qr_params() -> Spec<QrParams, f64> {
    let mut params = <QrParams as Auto<f64>>::auto();
    params.blocking_threshold = QR_UNBLOCKED_BELOW;
    Spec::new(params)
}

/// Fit by a Cholesky factorisation of `XᵀX + alpha·I`, where X is centred.
pub(super) fn by_normal_equations(table: &Table, alpha: f64, vectors: Vectors) -> Result<Fit> {
    let columns = table.x.columns;
    let means = Means::of(table, vectors);
    let mut gram = gram::products(table, &means, vectors);
    for column in 0..columns {
        gram[(column, column)] += alpha;
    }
    let square = gram.as_ref().submatrix(0, 0, columns, columns);
    let factor = square.llt(Side::Lower).map_err(|_| dependent())?;
    let mut solution = Mat::from_fn(columns, 1, |column, _| gram[(columns, column)]);
    factor.solve_in_place(solution.as_mut());
    finished(solution.col(0).iter().copied().collect(), &means, vectors)
}

fn finished(coef: Vec<f64>, means: &Means, vectors: Vectors) -> Result<Fit> {
    if coef.iter().any(|weight| !weight.is_finite()) {
        return Err(dependent());
    }
    let intercept = means.target - vectors.dot(&means.columns, &coef);
    Ok(Fit { coef, intercept: Some(intercept), descent: None })
}

fn dependent() -> Error {
    Error::failed("columns of X_train are linearly dependent; leave out those that are sums of others")
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::{Matrix, Order};

    /// Return a table of `rows` whose target is exactly 2a − 3b + 5.
    fn table(rows: usize) -> Table {
        let a: Vec<f64> = (0..rows).map(|row| (row as f64 * 0.7).sin()).collect();
        let b: Vec<f64> = (0..rows).map(|row| (row as f64 * 1.1).cos() + 4.0).collect();
        let y = a.iter().zip(&b).map(|(a, b)| 2.0 * a - 3.0 * b + 5.0).collect();
        Table { x: Matrix { rows, columns: 2, order: Order::Fortran, data: [a, b].concat() }, y }
    }

    fn assert_near(expected: &[f64], found: &[f64]) {
        assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(found) {
            assert!((expected - found).abs() < 1e-10, "{expected} {found}");
        }
    }

    #[test]
    fn both_solvers_recover_an_exact_plane() {
        for rows in [4, 255, 256, 257, 1000] {
            let table = table(rows);
            for fit in [by_qr(&table, Vectors::detect()), by_normal_equations(&table, 0.0, Vectors::detect())]
            {
                let fit = fit.unwrap();
                assert_near(&[2.0, -3.0], &fit.coef);
                assert_near(&[5.0], &[fit.intercept.unwrap()]);
            }
        }
    }

    #[test]
    fn a_penalty_shrinks_one_column_by_the_computed_amount() {
        // Centred x = -1, 0, 1 and y = -2, 0, 2: w = Σxy / (Σx² + α) = 4 / (2 + 2).
        let x = Matrix { rows: 3, columns: 1, order: Order::Fortran, data: vec![0.0, 1.0, 2.0] };
        let fit = by_normal_equations(&Table { x, y: vec![1.0, 3.0, 5.0] }, 2.0, Vectors::detect()).unwrap();
        assert_near(&[1.0, 2.0], &[fit.coef[0], fit.intercept.unwrap()]);
    }

    #[test]
    fn a_column_that_is_the_sum_of_others_is_an_error() {
        let mut table = table(50);
        let sum: Vec<f64> = table.column(0).iter().zip(table.column(1)).map(|(a, b)| a + b).collect();
        table.x.data.extend(sum);
        table.x.columns = 3;
        assert!(by_qr(&table, Vectors::detect()).is_err());
    }

    #[test]
    fn a_constant_column_is_an_error() {
        let x = Matrix { rows: 3, columns: 1, order: Order::Fortran, data: vec![1.0; 3] };
        let table = Table { x, y: vec![1.0, 2.0, 3.0] };
        assert!(by_qr(&table, Vectors::detect()).is_err());
        assert!(by_normal_equations(&table, 0.0, Vectors::detect()).is_err());
    }
}
