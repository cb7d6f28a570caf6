//! A trained network acts in an environment without learning: the cost of inference at every step.

use std::collections::BTreeMap;

use duet_worker::{Array, Implementation, Job, Outputs, Result, Spans};

use crate::cartpole::{self, End, Laps, Observation, State, World};
use crate::learner::Learner;

/// A network, the function that chooses its action in each step, and the environment it acts in.
pub(crate) struct Acting<L, A> {
    learner: L,
    choose: A,
    starts: Vec<State>,
    steps: usize,
}

/// What happened in one call.
pub(crate) struct Acted {
    laps: Laps,
    observations: Vec<Observation>,
    actions: Vec<i64>,
    ends: Vec<i64>,
}

impl<L: Learner, A: Fn(&L, usize, &Observation) -> Result<i64>> Acting<L, A> {
    /// Read the checkpoint and the initial states; `choose` returns the network's action in a step.
    pub(crate) fn new(job: &Job, choose: A) -> Result<Self> {
        // The network never learns, so its learning rate has no effect.
        let learner = L::new(&L::read(job, "checkpoint")?, 0.0)?;
        Ok(Self { learner, choose, starts: cartpole::starts(job)?, steps: job.usize("steps")? })
    }
}

impl<L: Learner, A: Fn(&L, usize, &Observation) -> Result<i64>> Implementation for Acting<L, A> {
    type Input = ();
    type Output = Acted;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Acted> {
        let mut acted =
            Acted { laps: Laps::new(), observations: Vec::new(), actions: Vec::new(), ends: Vec::new() };
        let mut world = World::new(&self.starts)?;
        acted.laps.lap("environment");
        for step in 0..self.steps {
            let observation = world.observation();
            let action = (self.choose)(&self.learner, step, &observation)?;
            acted.laps.lap("inference");
            let end = world.step(action);
            acted.observations.push(observation);
            acted.actions.push(action);
            acted.ends.push(end as i64);
            if end != End::None {
                world.reset()?;
            }
            acted.laps.lap("environment");
        }
        Ok(acted)
    }

    /// Run the network again on every observation, outside the timed region, for its outputs.
    fn outputs(&self, acted: &Acted) -> Result<Outputs> {
        let mut answers = Vec::with_capacity(2 * acted.observations.len());
        for observation in &acted.observations {
            answers.extend(self.learner.output(observation)?);
        }
        Ok(Outputs::new()
            .array("answers", Array::shaped(answers, &[acted.observations.len(), 2])?)
            .array("actions", acted.actions.clone())
            .array("ends", acted.ends.clone()))
    }

    fn spans(&self, acted: &Acted) -> Spans {
        acted.laps.spans()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("steps".to_owned(), self.steps as u64)])
    }
}
