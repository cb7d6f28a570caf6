//! The parts of the tasks that workers of several frameworks share: environments, schedules, tokenisers, training scaffolds.
//!
//! The computation that the suite compares is in each framework's own crate.

mod acting;
pub mod bert;
pub mod cartpole;
mod config;
pub mod dqn;
pub mod episodes;
pub mod gpt2;
pub mod learner;
pub mod policy_gradient;
pub mod recurrent;
pub mod replay;
pub mod supervised;
#[cfg(feature = "tokens")]
pub mod tokens;
