//! The burn worker: says what is implemented on burn; not how.

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

/// Give rayon, on which burn's processor backend runs, the threads it may use; once in a process.
fn set_threads(asked: usize) -> usize {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    rayon::current_num_threads()
}
