//! The burn worker: lists the tasks that are implemented on burn.

use std::process::ExitCode;

use duet_worker::Worker;

mod cnn;
mod dispatch;
mod layers;
mod networks;
mod rnn;

fn main() -> ExitCode {
    Worker::new("burn", duet_worker::build_info!())
        .threads(set_threads)
        .task(cnn::register)
        .task(dispatch::register)
        .task(rnn::register)
        .serve()
}

/// Set the number of threads of rayon, which runs burn's CPU backend; possible once per process.
fn set_threads(asked: usize) -> usize {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    rayon::current_num_threads()
}
