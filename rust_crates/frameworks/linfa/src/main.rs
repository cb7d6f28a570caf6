//! The linfa worker: says what linfa implements; not how.

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

/// Give linfa's search for the nearest centre the threads it may use: the only loop of linfa that is not sequential, as
/// without BLAS nothing below it is not.
fn set_threads(asked: usize) -> usize {
    // With this thread among them, one thread is the one that is timed. Once made, the pool stays as it is.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    rayon::current_num_threads()
}

/// Take a matrix over without copying it.
fn array(matrix: Matrix<f64>) -> Result<Array2<f64>> {
    let shape = (matrix.rows, matrix.columns).set_f(matrix.order == Order::Fortran);
    Ok(Array2::from_shape_vec(shape, matrix.data)?)
}
