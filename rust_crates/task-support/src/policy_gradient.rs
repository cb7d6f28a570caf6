//! The loop of REINFORCE (Williams 1992): an episode, then one step along its gradient.
//!
//! Each framework has its own policy and update.

use std::collections::BTreeMap;

use duet_worker::{Error, Implementation, Job, Outputs, Registry, Result, Spans};

use crate::acting::Acting;
use crate::cartpole::{self, End, Laps, Observation, State, World};
use crate::episodes::{self, Script};
use crate::learner::{self, InitialState, Learner};

/// Added to the standard deviation of the returns, so that equal returns are not divided by zero.
pub const SMALLEST_DEVIATION: f64 = 1e-8;

/// A network that gives the probability of each action.
pub trait Policy: Learner {
    /// Return the probability of action 1.
    fn right(&self, observation: &Observation) -> Result<f64>;

    /// Take one step along the gradient of an episode's returns, normalised to mean 0 and standard deviation 1, and return the
    /// loss before it.
    fn update(&mut self, observations: &[Observation], actions: &[i64], returns: &[f32]) -> Result<f64>;
}

/// Register whole runs and acting without learning.
pub fn register<L: Policy + 'static>(registry: &mut Registry) {
    registry.add("policy_gradient", "reinforce", "train", Train::<L>::new);
    registry.add("policy_gradient", "reinforce", "predict", |job| {
        let script = Script::drawn(job)?;
        Acting::new(job, move |policy: &L, step, observation: &Observation| {
            Ok(script.action(step, policy.right(observation)?))
        })
    });
}

/// Act and learn for some steps; an episode that is still running at the end takes no update.
struct Train<L: Learner> {
    initial: InitialState<L>,
    discount: f64,
    script: Script,
    starts: Vec<State>,
}

/// The result of a run.
struct Run<L> {
    learner: L,
    laps: Laps,
    actions: Vec<i64>,
    losses: Vec<f64>,
}

impl<L: Policy> Train<L> {
    fn new(job: &Job) -> Result<Self> {
        Ok(Self {
            initial: InitialState::read(job)?,
            discount: job.f64("discount")?,
            script: Script::read(job)?,
            starts: cartpole::starts(job)?,
        })
    }

    /// Draw an action of the policy, or return the given one; the policy runs in both cases.
    fn draw(&self, policy: &L, step: usize, observation: &Observation) -> Result<i64> {
        Ok(self.script.action(step, policy.right(observation)?))
    }

    fn act(&self, learner: L, most_updates: usize) -> Result<Run<L>> {
        let mut run = Run { learner, laps: Laps::new(), actions: Vec::new(), losses: Vec::new() };
        let mut world = World::new(&self.starts)?;
        let mut observations = Vec::new();
        run.laps.lap("environment");
        for step in 0..self.script.steps {
            if run.losses.len() == most_updates {
                break;
            }
            let observation = world.observation();
            let action = self.draw(&run.learner, step, &observation)?;
            run.laps.lap("inference");
            let end = world.step(action);
            run.laps.lap("environment");
            observations.push(observation);
            run.actions.push(action);
            run.laps.lap("buffer");
            if end != End::None {
                let actions = &run.actions[run.actions.len() - observations.len()..];
                let returns = episodes::returns(actions.len(), self.discount);
                run.losses.push(run.learner.update(&observations, actions, &returns)?);
                run.laps.lap("update");
                world.reset()?;
                observations.clear();
                run.laps.lap("environment");
            }
        }
        Ok(run)
    }
}

impl<L: Policy> Implementation for Train<L> {
    type Input = L;
    type Output = Run<L>;

    fn fresh(&self) -> Result<L> {
        self.initial.learner()
    }

    fn run(&self, learner: L) -> Result<Run<L>> {
        self.act(learner, usize::MAX)
    }

    /// Repeat the first episode outside the timed region, to report the effect of its update alone.
    fn outputs(&self, run: &Run<L>) -> Result<Outputs> {
        let untrained = self.fresh()?;
        let logits = untrained.output(&World::new(&self.starts)?.observation())?;
        let first = self.act(untrained, 1)?;
        let first_loss = first.losses.first().copied();
        let first_loss =
            first_loss.ok_or_else(|| Error::invalid("no episode ends within the steps; ask for more"))?;
        let outputs = learner::outputs(&run.learner, &run.losses, &first.learner, first_loss)?;
        Ok(outputs.array("actions", run.actions.clone()).array("first_logits", logits))
    }

    fn spans(&self, run: &Run<L>) -> Spans {
        run.laps.spans()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("steps".to_owned(), self.script.steps as u64)])
    }
}
