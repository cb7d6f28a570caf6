//! The tch worker: lists the tasks that are implemented on libtorch.

use std::process::ExitCode;

use duet_worker::Worker;

mod bert;
mod cnn;
mod dispatch;
mod dqn;
mod gpt2;
mod networks;
mod perceptron;
mod policy_gradient;
mod rnn;
mod tensors;

fn main() -> ExitCode {
    // Possible once per process; nothing here runs operators in parallel.
    tch::set_num_interop_threads(1);
    Worker::new("tch", duet_worker::build_info!())
        .version("torch", env!("DUET_TORCH_VERSION"))
        .detail("torch_git", env!("DUET_TORCH_GIT"))
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

fn set_threads(asked: usize) -> usize {
    tch::set_num_threads(i32::try_from(asked).unwrap_or(i32::MAX));
    usize::try_from(tch::get_num_threads()).unwrap_or(usize::MAX)
}
