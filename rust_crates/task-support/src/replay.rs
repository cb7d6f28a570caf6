//! The replay buffer of deep Q-learning, and the schedule by which it explores and learns.

use duet_worker::{Error, Job, Result};

use crate::cartpole::Observation;

/// A replay buffer: transitions in order. Every reward is 1, so none is stored.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    before: Vec<Observation>,
    actions: Vec<i64>,
    after: Vec<Observation>,
    fell: Vec<f32>,
}

/// The columns of some transitions.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Observations before the actions, four numbers each.
    pub before: Vec<f32>,
    /// Actions.
    pub actions: Vec<i64>,
    /// Observations after the actions, four numbers each.
    pub after: Vec<f32>,
    /// 1 where the pole fell, 0 elsewhere.
    pub fell: Vec<f32>,
}

impl Replay {
    /// Reserve memory for `capacity` transitions.
    pub fn new(capacity: usize) -> Self {
        Self {
            before: Vec::with_capacity(capacity),
            actions: Vec::with_capacity(capacity),
            after: Vec::with_capacity(capacity),
            fell: Vec::with_capacity(capacity),
        }
    }

    /// Read a fixed replay buffer.
    pub fn read(job: &Job) -> Result<Self> {
        let observations = |name: &str| -> Result<Vec<Observation>> {
            let (_, flat) = job.array_f32(name)?;
            Ok(flat.as_chunks::<4>().0.to_vec())
        };
        let (before, after) = (observations("replay_before")?, observations("replay_after")?);
        let (fell, mut actions) = (job.array_f32("replay_fell")?.1, job.array_i64("actions")?.1);
        actions.truncate(fell.len());
        if [before.len(), after.len(), actions.len()] != [fell.len(); 3] {
            return Err(Error::invalid(
                "the parts of the replay differ in length; write one row per transition",
            ));
        }
        Ok(Self { before, actions, after, fell })
    }

    /// Add one transition.
    pub fn add(&mut self, before: Observation, action: i64, after: Observation, fell: bool) {
        self.before.push(before);
        self.actions.push(action);
        self.after.push(after);
        self.fell.push(f32::from(u8::from(fell)));
    }

    /// Return the transitions that `draws` in [0, 1) select.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "draws lie in [0, 1)")]
    pub fn batch(&self, draws: &[f32]) -> Batch {
        let mut batch = Batch::default();
        for draw in draws {
            let row = (f64::from(*draw) * self.fell.len() as f64) as usize;
            batch.before.extend(self.before[row]);
            batch.actions.push(self.actions[row]);
            batch.after.extend(self.after[row]);
            batch.fell.push(self.fell[row]);
        }
        batch
    }
}

/// Random numbers in [0, 1), one row per update.
#[derive(Clone, Debug)]
pub struct Draws {
    flat: Vec<f32>,
    batch: usize,
}

impl Draws {
    /// Read data file `replay`.
    pub fn read(job: &Job) -> Result<Self> {
        match job.array_f32("replay")? {
            (shape, flat) if shape.len() == 2 && shape[1] > 0 => Ok(Self { flat, batch: shape[1] }),
            (shape, _) => {
                Err(Error::invalid(format!("replay has the shape {shape:?}; write it as updates × batch")))
            }
        }
    }

    /// Return the numbers of one update.
    pub fn row(&self, update: usize) -> Result<&[f32]> {
        self.flat.chunks_exact(self.batch).nth(update).ok_or_else(|| {
            Error::invalid(format!("there are no draws for update {update}; write a row for each update"))
        })
    }
}

/// When a run explores, learns and updates its target network: the rules of Stable-Baselines3.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Number of steps to act.
    pub steps: usize,
    /// Number of updates per learning step.
    pub updates: usize,
    learning_starts: usize,
    train_every: usize,
    align_every: usize,
    exploration_steps: f64,
    exploration_last: f64,
    actions: Vec<i64>,
    explore: Vec<f32>,
}

impl Rules {
    /// Read the rules and the random numbers they need.
    pub fn read(job: &Job) -> Result<Self> {
        let rules = Self {
            steps: job.usize("steps")?,
            updates: job.usize("updates")?,
            learning_starts: job.usize("learning_starts")?,
            train_every: job.usize("train_every")?.max(1),
            align_every: job.usize("align_every")?.max(1),
            exploration_steps: job.f64("exploration_steps")?,
            exploration_last: job.f64("exploration_last")?,
            actions: job.array_i64("actions")?.1,
            explore: job.array_f32("explore")?.1,
        };
        if rules.steps > rules.actions.len().min(rules.explore.len()) {
            return Err(Error::invalid(format!(
                "the job asks for {} steps; draw an action and an exploration number for each",
                rules.steps
            )));
        }
        Ok(rules)
    }

    /// Return the random action of a step, counted from 0, or `None` if the network decides.
    pub fn explored(&self, step: usize) -> Option<i64> {
        let falling = 1.0 + (self.exploration_last - 1.0) * step as f64 / self.exploration_steps;
        (f64::from(self.explore[step]) < self.exploration_last.max(falling)).then_some(self.actions[step])
    }

    /// Return whether to learn after `steps` steps.
    pub fn learns(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.train_every) && steps > self.learning_starts
    }

    /// Return whether to update the target network after `steps` steps.
    pub fn aligns(&self, steps: usize) -> bool {
        steps.is_multiple_of(self.align_every)
    }

    /// Return the number of updates of a whole run.
    pub fn all_updates(&self) -> usize {
        let times = self.steps / self.train_every - self.learning_starts / self.train_every;
        times * self.updates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_selects_from_the_filled_part() {
        let mut replay = Replay::new(10);
        for action in 0..4 {
            replay.add([0.0; 4], action, [1.0; 4], action == 3);
        }
        let batch = replay.batch(&[0.0, 0.24, 0.25, 0.999_999]);
        assert_eq!((vec![0, 0, 1, 3], vec![0.0, 0.0, 0.0, 1.0]), (batch.actions, batch.fell));
    }
}
