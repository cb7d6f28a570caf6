//! The smartcore worker: lists what smartcore implements.

use std::process::ExitCode;

use duet_worker::{Matrix, Order, Result, Worker};
use smartcore::linalg::basic::matrix::DenseMatrix;

mod clustering;
mod regression;

fn main() -> ExitCode {
    // smartcore's loops are sequential.
    Worker::new("smartcore", duet_worker::build_info!())
        .threads(|_| 1)
        .task(clustering::register)
        .task(regression::register)
        .serve()
}

/// Convert a matrix without copying it.
fn dense(matrix: Matrix<f64>) -> Result<DenseMatrix<f64>> {
    Ok(DenseMatrix::new(matrix.rows, matrix.columns, matrix.data, matrix.order == Order::Fortran)?)
}
