//! The actions of a policy and the returns of an episode, whatever the policy.

use duet_worker::{Error, Job, Result};

/// The source of a run's actions: drawn with random numbers from a file, or given.
#[derive(Clone, Debug)]
pub struct Script {
    /// Number of steps to act.
    pub steps: usize,
    draws: Vec<f32>,
    given: Option<Vec<i64>>,
}

impl Script {
    /// Read the script; the job's parameter `scripted` says whether the actions are given.
    pub fn read(job: &Job) -> Result<Self> {
        let given = if job.bool("scripted")? { Some(job.array_i64("actions")?.1) } else { None };
        Self::new(job, given)
    }

    /// Read a script whose actions are always drawn.
    pub fn drawn(job: &Job) -> Result<Self> {
        Self::new(job, None)
    }

    fn new(job: &Job, given: Option<Vec<i64>>) -> Result<Self> {
        let (steps, draws) = (job.usize("steps")?, job.array_f32("draws")?.1);
        if steps > given.as_ref().map_or(draws.len(), Vec::len) {
            return Err(Error::invalid(format!(
                "the job asks for {steps} steps; draw a number and an action for each"
            )));
        }
        Ok(Self { steps, draws, given })
    }

    /// Return the action of a step in which the policy chooses action 1 with probability `right`.
    pub fn action(&self, step: usize, right: f64) -> i64 {
        self.given
            .as_ref()
            .map_or_else(|| i64::from(f64::from(self.draws[step]) < right), |given| given[step])
    }
}

/// Return the discounted return of each step of an episode; every step earns 1.
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
    fn the_return_of_a_step_discounts_later_rewards() {
        assert_eq!(vec![1.75, 1.5, 1.0], returns(3, 0.5));
    }
}
