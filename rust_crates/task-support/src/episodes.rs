//! How actions of a policy are drawn, and what the steps of an episode earned: what learning a policy needs beside it.
//!
//! Not for the policy, which is each framework's own business.

use duet_worker::{Error, Job, Result};

/// Where the actions of a run come from: drawn by numbers from a file, or given.
#[derive(Clone, Debug)]
pub struct Script {
    /// How many steps to act.
    pub steps: usize,
    draws: Vec<f32>,
    given: Option<Vec<i64>>,
}

impl Script {
    /// Read it; the job says whether actions are given.
    pub fn read(job: &Job) -> Result<Self> {
        let given = if job.bool("scripted")? { Some(job.array_i64("actions")?.1) } else { None };
        Self::new(job, given)
    }

    /// Read it where actions are drawn in any case.
    pub fn drawn(job: &Job) -> Result<Self> {
        Self::new(job, None)
    }

    fn new(job: &Job, given: Option<Vec<i64>>) -> Result<Self> {
        let (steps, draws) = (job.usize("steps")?, job.array_f32("draws")?.1);
        if steps > given.as_ref().map_or(draws.len(), Vec::len) {
            return Err(Error::invalid(format!(
                "{steps} steps are asked for; draw a number and an action for each"
            )));
        }
        Ok(Self { steps, draws, given })
    }

    /// Return the action of a step in which the policy takes action 1 with probability `right`.
    pub fn action(&self, step: usize, right: f64) -> i64 {
        self.given
            .as_ref()
            .map_or_else(|| i64::from(f64::from(self.draws[step]) < right), |given| given[step])
    }
}

/// Return what each step of an episode earned until its end, discounted: every step earns 1.
#[expect(clippy::cast_possible_truncation, reason = "networks compute in f32")]
pub fn returns(length: usize, discount: f64) -> Vec<f32> {
    let mut ahead = 0.0;
    let mut returns = vec![0.0; length];
    for each in returns.iter_mut().rev() {
        ahead = 1.0 + discount * ahead;
        *each = ahead as f32;
    }
    returns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_earns_what_follows_it_discounted() {
        assert_eq!(vec![1.75, 1.5, 1.0], returns(3, 0.5));
    }
}
