//! Gymnasium's `CartPole-v1`, operation by operation: the same actions give the same bits.

use std::collections::BTreeMap;
use std::time::Instant;

use duet_worker::{Error, Job, Outputs, Result};

const GRAVITY: f64 = 9.8;
const MASS_POLE: f64 = 0.1;
const MASS_TOTAL: f64 = MASS_POLE + 1.0;
const LENGTH: f64 = 0.5;
const POLE_MASS_LENGTH: f64 = MASS_POLE * LENGTH;
const FORCE: f64 = 10.0;
const SECONDS: f64 = 0.02;
const FARTHEST: f64 = 2.4;
const STEEPEST: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0;
/// The number of steps after which an episode ends even if the pole still stands.
pub const TIME_LIMIT: u32 = 500;

/// Position and velocity of the cart, angle and angular velocity of the pole.
pub type State = [f64; 4];
/// A state in the precision that a policy reads.
pub type Observation = [f32; 4];

/// Whether and how a step ended its episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The episode goes on.
    None = 0,
    /// The pole fell, or the cart left the track.
    Fell = 1,
    /// The episode reached the time limit; its state is not terminal.
    Late = 2,
}

/// An environment whose episodes start from given states.
#[derive(Clone, Debug)]
pub struct World<'starts> {
    starts: std::slice::Iter<'starts, State>,
    state: State,
    steps: u32,
}

impl<'starts> World<'starts> {
    /// Start the first of the episodes that begin in `starts`.
    pub fn new(starts: &'starts [State]) -> Result<Self> {
        let mut world = Self { starts: starts.iter(), state: [0.0; 4], steps: 0 };
        world.reset()?;
        Ok(world)
    }

    /// Start the next episode.
    pub fn reset(&mut self) -> Result<()> {
        let start = self.starts.next();
        self.state = *start.ok_or_else(|| {
            Error::invalid("there are more episodes than initial states; write more starts")
        })?;
        self.steps = 0;
        Ok(())
    }

    /// Return the state in full precision.
    pub fn state(&self) -> State {
        self.state
    }

    /// Return the state in the precision that a policy reads.
    #[expect(clippy::cast_possible_truncation, reason = "as Gymnasium does")]
    pub fn observation(&self) -> Observation {
        self.state.map(|value| value as f32)
    }

    /// Push the cart to the right (1) or to the left, for one step of Euler's method (Barto, Sutton and Anderson 1983).
    pub fn step(&mut self, action: i64) -> End {
        let [x, x_dot, theta, theta_dot] = self.state;
        let force = if action == 1 { FORCE } else { -FORCE };
        let (sin, cos) = (theta.sin(), theta.cos());
        let push = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / MASS_TOTAL;
        let theta_acc =
            (GRAVITY * sin - cos * push) / (LENGTH * (4.0 / 3.0 - MASS_POLE * (cos * cos) / MASS_TOTAL));
        let x_acc = push - POLE_MASS_LENGTH * theta_acc * cos / MASS_TOTAL;
        self.state = [
            x + SECONDS * x_dot,
            x_dot + SECONDS * x_acc,
            theta + SECONDS * theta_dot,
            theta_dot + SECONDS * theta_acc,
        ];
        self.steps += 1;
        if self.state[0].abs() > FARTHEST || self.state[2].abs() > STEEPEST {
            End::Fell
        } else if self.steps >= TIME_LIMIT {
            End::Late
        } else {
            End::None
        }
    }
}

/// Read the initial states of the episodes.
pub fn starts(job: &Job) -> Result<Vec<State>> {
    let (_, flat) = job.array_f32("starts")?;
    let (states, rest) = flat.as_chunks::<4>();
    if rest.is_empty() {
        Ok(states.iter().map(|state| state.map(f64::from)).collect())
    } else {
        Err(Error::invalid("the size of starts is not a multiple of 4; write four numbers per state"))
    }
}

/// Run the environment alone with given actions; return every state and how each step ended.
pub fn act(starts: &[State], actions: &[i64]) -> Result<Vec<(State, End)>> {
    let mut world = World::new(starts)?;
    let mut trace = Vec::with_capacity(actions.len());
    for &action in actions {
        let end = world.step(action);
        trace.push((world.state(), end));
        if end != End::None {
            world.reset()?;
        }
    }
    Ok(trace)
}

/// Return the outputs of `act`: the ends, and the states as bit patterns, because parity compares every bit.
pub fn outputs(trace: &[(State, End)]) -> Result<Outputs> {
    let bits: Vec<i64> =
        trace.iter().flat_map(|(state, _)| state.map(|value| value.to_bits().cast_signed())).collect();
    let ends: Vec<i64> = trace.iter().map(|&(_, end)| end as i64).collect();
    Ok(Outputs::new()
        .array("state_bits", duet_worker::Array::shaped(bits, &[trace.len(), 4])?)
        .array("ends", ends))
}

/// A stopwatch that adds up the nanoseconds of each part of a call.
#[derive(Debug)]
pub struct Laps {
    spans: BTreeMap<&'static str, u64>,
    since: Instant,
}

impl Laps {
    /// Start the first lap.
    #[expect(clippy::new_without_default, reason = "the stopwatch starts running")]
    pub fn new() -> Self {
        Self { spans: BTreeMap::new(), since: Instant::now() }
    }

    /// End a lap and add its time to `part`.
    pub fn lap(&mut self, part: &'static str) {
        let now = Instant::now();
        let taken = now.duration_since(self.since).as_nanos();
        *self.spans.entry(part).or_default() += u64::try_from(taken).unwrap_or(u64::MAX);
        self.since = now;
    }

    /// Return the nanoseconds of each part.
    pub fn spans(&self) -> duet_worker::Spans {
        self.spans.iter().map(|(&part, &ns)| (part.to_owned(), ns)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pole_pushed_one_way_all_the_time_falls() {
        let trace = act(&[[0.0; 4]; 3], &[1; 12]).unwrap();
        let fell: Vec<usize> = (0..12).filter(|&step| trace[step].1 == End::Fell).collect();
        assert_eq!(vec![8], fell);
        assert!(trace[8].0[2] < -STEEPEST);
    }

    #[test]
    fn an_episode_ends_at_the_time_limit_while_the_pole_stands() {
        let mut world = World::new(&[[0.0; 4]]).unwrap();
        let mut ends = (0..TIME_LIMIT).map(|_| {
            let [_, _, theta, theta_dot] = world.state();
            world.step(i64::from(theta + theta_dot > 0.0))
        });
        assert_eq!(Some(TIME_LIMIT as usize - 1), ends.position(|end| end != End::None));
    }

    #[test]
    fn an_episode_without_an_initial_state_is_an_error() {
        assert!(act(&[[0.0; 4]], &[1; 12]).unwrap_err().message.contains("write more starts"));
    }
}
