//! What the workers of several frameworks share of a task: worlds to act in, texts to read.
//!
//! Not for anything that a framework computes: that is what is compared, and stands in its own crate.

mod acting;
pub mod bert;
pub mod cartpole;
mod config;
pub mod dqn;
pub mod episodes;
pub mod gpt2;
pub mod learner;
pub mod policy_gradient;
pub mod replay;
pub mod tokens;
