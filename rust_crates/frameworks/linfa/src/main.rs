//! The linfa worker: lists what linfa implements.

use std::process::ExitCode;

use duet_worker::{Matrix, Order, Result, Worker};
use ndarray::{Array2, ShapeBuilder as _};

mod clustering;
mod regression;
mod svm;

fn main() -> ExitCode {
    Worker::new("linfa", duet_worker::build_info!())
        .threads(set_threads)
        .task(clustering::register)
        .task(regression::register)
        .task(svm::register)
        .serve()
}

/// Set the number of threads of rayon, which linfa uses only to find the nearest centre; without BLAS everything else is
/// sequential.
fn set_threads(asked: usize) -> usize {
    // The pool includes this thread, so one thread is the timed one. The pool cannot be changed once built.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    rayon::current_num_threads()
}

/// Convert a matrix without copying it.
fn array(matrix: Matrix<f64>) -> Result<Array2<f64>> {
    let shape = (matrix.rows, matrix.columns).set_f(matrix.order == Order::Fortran);
    Ok(Array2::from_shape_vec(shape, matrix.data)?)
}
