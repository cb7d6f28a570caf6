//! The linfa worker: says what linfa implements; not how.

use std::process::ExitCode;

use duet_worker::Worker;

mod regression;

fn main() -> ExitCode {
    // linfa's own loops are sequential, and without BLAS nothing below them is not.
    Worker::new("linfa", duet_worker::build_info!()).threads(|_| 1).task(regression::register).serve()
}
