//! The candle worker: says what is implemented on candle; not how.

use std::process::ExitCode;

use duet_worker::Worker;

mod bert;
mod cnn;
mod dispatch;
mod gpt2;
mod networks;
mod rnn;
mod tensors;

fn main() -> ExitCode {
    Worker::new("candle", duet_worker::build_info!())
        // Its kernels ask rayon's variable, which the harness sets, at every call: there is nothing to apply.
        .threads(|_| candle_core::utils::get_num_threads())
        .task(bert::register)
        .task(cnn::register)
        .task(dispatch::register)
        .task(gpt2::register)
        .task(rnn::register)
        .serve()
}
