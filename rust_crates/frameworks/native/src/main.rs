//! The native worker: lists what this project implements itself on top of faer.

use std::process::ExitCode;

use duet_worker::Worker;

mod clustering;
mod regression;
mod svm;
mod vector;

fn main() -> ExitCode {
    Worker::new("native", duet_worker::build_info!())
        .threads(set_threads)
        .task(clustering::register)
        .task(regression::register)
        .task(svm::register)
        .serve()
}

/// Set faer's number of threads, which cannot exceed that of rayon's pool.
fn set_threads(asked: usize) -> usize {
    let threads = if asked == 1 { 1 } else { asked.min(rayon::current_num_threads()) };
    faer::set_global_parallelism(if threads == 1 { faer::Par::Seq } else { faer::Par::rayon(threads) });
    threads
}
