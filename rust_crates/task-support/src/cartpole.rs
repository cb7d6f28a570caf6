//! The cart and pole of Gymnasium (`CartPole-v1`), operation by operation: the same actions give the same bits.
//!
//! Not for learning: what acts on it is each framework's own business.

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
/// After so many steps an episode is over, fallen or not.
pub const TIME_LIMIT: u32 = 500;

/// Position and velocity of the cart, angle of the pole and its velocity.
pub type State = [f64; 4];
/// A state as a policy sees it.
pub type Observation = [f32; 4];

/// How an episode stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    None = 0,
    /// The pole fell, or the cart left the track.
    Fell = 1,
    /// Time is up, which says nothing about the state.
    Late = 2,
}

/// A world whose episodes start where a file says.
#[derive(Clone, Debug)]
pub struct World<'starts> {
    starts: std::slice::Iter<'starts, State>,
    state: State,
    steps: u32,
}

impl<'starts> World<'starts> {
    /// Make a world whose episodes start in `starts`, and begin the first.
    pub fn new(starts: &'starts [State]) -> Result<Self> {
        let mut world = Self { starts: starts.iter(), state: [0.0; 4], steps: 0 };
        world.reset()?;
        Ok(world)
    }

    /// Begin the next episode.
    pub fn reset(&mut self) -> Result<()> {
        let start = self.starts.next();
        self.state =
            *start.ok_or_else(|| Error::invalid("there are more episodes than starts; write more starts"))?;
        self.steps = 0;
        Ok(())
    }

    /// The state in full precision.
    pub fn state(&self) -> State {
        self.state
    }

    /// The state as a policy sees it.
    #[expect(clippy::cast_possible_truncation, reason = "Gymnasium narrows it so")]
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

/// Read where episodes start.
pub fn starts(job: &Job) -> Result<Vec<State>> {
    let (_, flat) = job.array_f32("starts")?;
    let (states, rest) = flat.as_chunks::<4>();
    if rest.is_empty() {
        Ok(states.iter().map(|state| state.map(f64::from)).collect())
    } else {
        Err(Error::invalid("starts are no states; write four numbers each"))
    }
}

/// The world alone, under given actions: every state, and how each step ended.
pub fn act(starts: &[State], actions: &[i64]) -> Result<Vec<(State, End)>> {
    let mut world = World::new(starts)?;
    let mut met = Vec::with_capacity(actions.len());
    for &action in actions {
        let end = world.step(action);
        met.push((world.state(), end));
        if end != End::None {
            world.reset()?;
        }
    }
    Ok(met)
}

/// Hand over what `act` met: the bits of every state, because the last one must be the same, and the ends.
pub fn outputs(met: &[(State, End)]) -> Result<Outputs> {
    let bits: Vec<i64> =
        met.iter().flat_map(|(state, _)| state.map(|value| value.to_bits().cast_signed())).collect();
    let ends: Vec<i64> = met.iter().map(|&(_, end)| end as i64).collect();
    Ok(Outputs::new()
        .array("state_bits", duet_worker::Array::shaped(bits, &[met.len(), 4])?)
        .array("ends", ends))
}

/// Adds up how long the parts of a call take, in ns: each lap goes to the part that is named at its end.
#[derive(Debug)]
pub struct Laps {
    spans: BTreeMap<&'static str, u64>,
    since: Instant,
}

impl Laps {
    /// Start the first lap.
    #[expect(clippy::new_without_default, reason = "a clock that starts is no default")]
    pub fn new() -> Self {
        Self { spans: BTreeMap::new(), since: Instant::now() }
    }

    /// End a lap: the time since the last one belongs to `part`.
    pub fn lap(&mut self, part: &'static str) {
        let now = Instant::now();
        let taken = now.duration_since(self.since).as_nanos();
        *self.spans.entry(part).or_default() += u64::try_from(taken).unwrap_or(u64::MAX);
        self.since = now;
    }

    /// What each part took.
    pub fn spans(&self) -> duet_worker::Spans {
        self.spans.iter().map(|(&part, &ns)| (part.to_owned(), ns)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pole_that_is_always_pushed_one_way_falls() {
        let met = act(&[[0.0; 4]; 3], &[1; 12]).unwrap();
        let fell: Vec<usize> = (0..12).filter(|&step| met[step].1 == End::Fell).collect();
        assert_eq!(vec![8], fell);
        assert!(met[8].0[2] < -STEEPEST);
    }

    #[test]
    fn time_is_up_after_the_limit_though_the_pole_stands() {
        let mut world = World::new(&[[0.0; 4]]).unwrap();
        let mut ends = (0..TIME_LIMIT).map(|_| {
            let [_, _, theta, theta_dot] = world.state();
            world.step(i64::from(theta + theta_dot > 0.0))
        });
        assert_eq!(Some(TIME_LIMIT as usize - 1), ends.position(|end| end != End::None));
    }

    #[test]
    fn an_episode_without_a_start_is_an_error() {
        assert!(act(&[[0.0; 4]], &[1; 12]).unwrap_err().message.contains("write more starts"));
    }
}
