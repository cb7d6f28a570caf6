//! REINFORCE (Williams 1992) on libtorch: an episode, then one step along its gradient.
//!
//! Not for the world, nor for what an episode earned: `duet_rooms` has both.

use std::collections::BTreeMap;

use duet_rooms::cartpole::{self, End, Laps, Observation, State, World};
use duet_rooms::episodes::{self, Script};
use duet_worker::{Error, Implementation, Job, Outputs, Registry, Result, Spans};
use tch::nn::{self, Module as _, OptimizerConfig as _};
use tch::{Kind, Tensor};

use crate::perceptron::{self, Learner};
use crate::tensors::{self, Weights};

const SMALLEST_DEVIATION: f64 = 1e-8;

/// Register whole runs.
pub fn register(registry: &mut Registry) {
    registry.add("policy_gradient", "reinforce", "train", Train::new);
}

/// Act and learn for some steps; an episode that they cut short is not learnt from.
struct Train {
    initial: Weights,
    learning_rate: f64,
    discount: f64,
    script: Script,
    starts: Vec<State>,
}

/// What a run left behind.
struct Run {
    learner: Learner,
    laps: Laps,
    actions: Vec<i64>,
    losses: Vec<f64>,
}

impl Train {
    fn new(job: &Job) -> Result<Self> {
        let train = Self {
            initial: tensors::weights(job, "initial")?,
            learning_rate: job.f64("learning_rate")?,
            discount: job.f64("discount")?,
            script: Script::read(job)?,
            starts: cartpole::starts(job)?,
        };
        // Weights that do not fit are the job's fault, so they are found while preparing.
        train.fresh()?;
        Ok(train)
    }

    /// Draw an action of the policy, or take the given one; the policy is asked in any case.
    fn draw(&self, policy: &nn::Sequential, step: usize, observation: &Observation) -> i64 {
        let logits = tch::no_grad(|| policy.forward(&Tensor::from_slice(observation)));
        self.script.action(step, logits.softmax(0, None::<Kind>).double_value(&[1]))
    }

    /// Take one step along the gradient of an episode's return and return the loss before it.
    fn update(&self, learner: &mut Learner, observations: &[Observation], actions: &[i64]) -> f64 {
        let returns = Tensor::from_slice(&episodes::returns(actions.len(), self.discount));
        let weights = (&returns - returns.mean(None::<Kind>)) / (returns.std(true) + SMALLEST_DEVIATION);
        let observed = Tensor::from_slice(observations.as_flattened()).view([-1, 4]);
        let log_policy = learner.network.forward(&observed).log_softmax(1, None::<Kind>);
        let taken = log_policy.gather(1, &Tensor::from_slice(actions).unsqueeze(1), false).squeeze_dim(1);
        let loss = -(taken * weights).mean(None::<Kind>);
        learner.optimizer.zero_grad();
        loss.backward();
        learner.optimizer.step();
        loss.double_value(&[])
    }

    fn act(&self, learner: Learner, most_updates: usize) -> Result<Run> {
        let mut run = Run { learner, laps: Laps::new(), actions: Vec::new(), losses: Vec::new() };
        let mut world = World::new(&self.starts)?;
        let mut observations = Vec::new();
        run.laps.lap("environment");
        for step in 0..self.script.steps {
            if run.losses.len() == most_updates {
                break;
            }
            let observation = world.observation();
            let action = self.draw(&run.learner.network, step, &observation);
            run.laps.lap("inference");
            let end = world.step(action);
            run.laps.lap("environment");
            observations.push(observation);
            run.actions.push(action);
            run.laps.lap("buffer");
            if end != End::None {
                let actions = &run.actions[run.actions.len() - observations.len()..];
                run.losses.push(self.update(&mut run.learner, &observations, actions));
                run.laps.lap("update");
                world.reset()?;
                observations.clear();
                run.laps.lap("environment");
            }
        }
        Ok(run)
    }
}

impl Implementation for Train {
    type Input = Learner;
    type Output = Run;

    fn fresh(&self) -> Result<Learner> {
        let (variables, network) = perceptron::build(&self.initial)?;
        let optimizer = nn::Adam::default().build(&variables, self.learning_rate)?;
        Ok(Learner { variables, network, optimizer })
    }

    fn run(&self, learner: Learner) -> Result<Run> {
        self.act(learner, usize::MAX)
    }

    /// The first episode is acted again, off the clock, to tell what its update alone does.
    fn outputs(&self, run: &Run) -> Result<Outputs> {
        let untrained = self.fresh()?;
        let observation = World::new(&self.starts)?.observation();
        let logits = tch::no_grad(|| untrained.network.forward(&Tensor::from_slice(&observation)));
        let first = self.act(untrained, 1)?;
        let first_loss = first.losses.first().copied();
        let first_loss =
            first_loss.ok_or_else(|| Error::invalid("no episode ends within the steps; ask for more"))?;
        let outputs =
            tensors::trained(&run.learner.variables, &run.losses, &first.learner.variables, first_loss)?;
        Ok(outputs.array("actions", run.actions.clone()).array("first_logits", tensors::array(&logits)?))
    }

    fn spans(&self, run: &Run) -> Spans {
        run.laps.spans()
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("steps".to_owned(), self.script.steps as u64)])
    }
}
