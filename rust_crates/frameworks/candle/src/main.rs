//! The candle worker: says what is implemented on candle; not how.

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

/// Give rayon, on which small operators run, the threads it may use; once in a process. Large products ask the variable
/// that the harness sets, at every call.
fn set_threads(asked: usize) -> usize {
    // With this thread among them, one thread is the one that is timed, and no other spins beside it.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(asked).use_current_thread().build_global();
    candle_core::utils::get_num_threads().max(rayon::current_num_threads())
}
