//! The candle worker: lists the tasks that are implemented on candle.

use std::process::ExitCode;

use duet_worker::Worker;

mod bert;
mod cnn;
mod dispatch;
mod dqn;
mod gelu;
mod gpt2;
mod networks;
mod perceptron;
mod policy_gradient;
mod rnn;
mod tensors;

fn main() -> ExitCode {
    Worker::new("candle", duet_worker::build_info!())
        .threads(set_threads)
        .task(bert::register)
        .task(cnn::register)
        .task(dispatch::register)
        .task(dqn::register)
        .task(gpt2::register)
        .task(policy_gradient::register)
        .task(rnn::register)
        .serve()
}

/// Set the number of threads of rayon, which runs small operators; possible once per process. Large products read the
/// environment variable that the harness sets, at every call.
fn set_threads(asked: usize) -> usize {
    // The pool includes this thread, so with one thread no other thread spins beside the timed one.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    candle_core::utils::get_num_threads().max(rayon::current_num_threads())
}
