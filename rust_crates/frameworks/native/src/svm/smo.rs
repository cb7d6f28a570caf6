//! Sequential minimal optimisation with second-order working sets: LIBSVM's steps and stopping rule (Fan et al. 2005).
//!
//! The kernel's diagonal must be ones. There is no shrinking.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use std::ops::Range;

use super::kernel::{Cache, Kernel};
use crate::vector::Vectors;

/// The replacement for a curvature that is not positive.
const TAU: f64 = 1e-12;

/// Number of values that are compared together; the index of the best is only searched in a tile that beats all before.
const TILE: usize = 256;

/// The problem to minimise ½ βᵀKβ + gᵀβ over β = yα with 0 ≤ α ≤ `cost` and a constant sum of β.
pub(super) struct Problem<'a> {
    pub kernel: &'a Kernel,
    /// Rows before this one have y = 1, the others have y = −1.
    pub positive: usize,
    pub cost: f64,
    /// The initial β, and g.
    pub start: Vec<f64>,
    pub slope: Vec<f64>,
    /// Ranges that each contain both rows of a working set: all rows, or each class separately (ν-SVC).
    pub parts: Vec<Range<usize>>,
    pub tolerance: f64,
    pub cache_mb: f64,
}

/// The result: β, the gradient Kβ + g, and the number of steps.
pub(super) struct Solution {
    pub beta: Vec<f64>,
    pub gradient: Vec<f64>,
    pub steps: u64,
}

/// Take steps until no pair violates the optimality conditions by more than the tolerance.
pub(super) fn solve(problem: &Problem<'_>, vectors: Vectors) -> Solution {
    let mut search = Search::new(problem, vectors);
    let mut steps = 0;
    while let Some(pair) = search.violating_pair() {
        search.step(&pair);
        steps += 1;
    }
    Solution { beta: search.beta, gradient: search.gradient, steps }
}

struct Search<'a> {
    problem: &'a Problem<'a>,
    vectors: Vectors,
    cache: Cache,
    beta: Vec<f64>,
    gradient: Vec<f64>,
    /// 0 where β may increase, −∞ elsewhere; `may_fall` likewise for decreases.
    may_rise: Vec<f64>,
    may_fall: Vec<f64>,
}

/// A working set: the row to increase, the row to decrease, and the cache index of the first's kernel row.
struct Pair {
    rising: usize,
    falling: usize,
    place: usize,
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem<'a>, vectors: Vectors) -> Self {
        let length = problem.kernel.len();
        let mut search = Self {
            problem,
            vectors,
            cache: Cache::new(length, problem.cache_mb),
            beta: problem.start.clone(),
            gradient: problem.slope.clone(),
            may_rise: vec![0.0; length],
            may_fall: vec![0.0; length],
        };
        for row in 0..length {
            search.note_bounds(row);
            let beta = search.beta[row];
            if beta != 0.0 {
                let place = search.cache.load(problem.kernel, row);
                let kernel = search.cache.row(place);
                search
                    .gradient
                    .iter_mut()
                    .zip(kernel)
                    .for_each(|(sum, value)| *sum += beta * f64::from(*value));
            }
        }
        search
    }

    /// Return the lower and the upper bound of β.
    fn bounds(&self, row: usize) -> (f64, f64) {
        let cost = self.problem.cost;
        if row < self.problem.positive { (0.0, cost) } else { (-cost, 0.0) }
    }

    fn note_bounds(&mut self, row: usize) {
        let (least, largest) = self.bounds(row);
        let open = |is_open: bool| if is_open { 0.0 } else { f64::NEG_INFINITY };
        self.may_rise[row] = open(self.beta[row] < largest);
        self.may_fall[row] = open(self.beta[row] > least);
    }

    /// Return the rising row of the largest violation and the falling row of the largest gain, or `None` if no pair violates the
    /// conditions.
    fn violating_pair(&mut self) -> Option<Pair> {
        let (mut largest_gap, mut best) = (f64::NEG_INFINITY, (f64::NEG_INFINITY, None));
        for part in &self.problem.parts {
            let (gradient, may_rise) = (&self.gradient[part.clone()], &self.may_rise[part.clone()]);
            let (steepest, rising) = self.vectors.run(
                #[inline(always)]
                || steepest(gradient, may_rise),
            );
            let Some(rising) = rising.map(|at| part.start + at) else { continue };
            let place = self.cache.load(self.problem.kernel, rising);
            let kernel = &self.cache.row(place)[part.clone()];
            let may_fall = &self.may_fall[part.clone()];
            let found = self.vectors.run(
                #[inline(always)]
                || gains(gradient, may_fall, kernel, steepest),
            );
            largest_gap = largest_gap.max(steepest + found.highest);
            if let Some(falling) = found.at.filter(|_| found.gain >= best.0) {
                best = (found.gain, Some(Pair { rising, falling: part.start + falling, place }));
            }
        }
        best.1.filter(|_| largest_gap >= self.problem.tolerance)
    }

    /// Move the pair to the minimum along its line, or to the nearer bound.
    fn step(&mut self, pair: &Pair) {
        let (rising, falling) = (pair.rising, pair.falling);
        let other = self.cache.load(self.problem.kernel, falling);
        let between = f64::from(self.cache.row(pair.place)[falling]);
        let wanted = (self.gradient[falling] - self.gradient[rising]) / (2.0 - 2.0 * between).max(TAU);
        let (ceiling, floor) = (self.bounds(rising).1, self.bounds(falling).0);
        let by = wanted.min(ceiling - self.beta[rising]).min(self.beta[falling] - floor);
        // A value that reaches its bound is set to the bound exactly, whatever the rounding.
        self.beta[rising] = if by == ceiling - self.beta[rising] { ceiling } else { self.beta[rising] + by };
        self.beta[falling] = if by == self.beta[falling] - floor { floor } else { self.beta[falling] - by };
        self.note_bounds(rising);
        self.note_bounds(falling);
        let (up, down) = (self.cache.row(pair.place), self.cache.row(other));
        let gradient = &mut self.gradient;
        self.vectors.run(
            #[inline(always)]
            || {
                for ((sum, up), down) in gradient.iter_mut().zip(up).zip(down) {
                    *sum += by * (f64::from(*up) - f64::from(*down));
                }
            },
        );
    }
}

/// Return the steepest descent among rows that may rise, and the last row with it.
#[inline(always)]
fn steepest(gradient: &[f64], may_rise: &[f64]) -> (f64, Option<usize>) {
    let (mut best, mut found) = (f64::NEG_INFINITY, None);
    let mut values = [f64::NEG_INFINITY; TILE];
    for (tile, (gradient, may_rise)) in gradient.chunks(TILE).zip(may_rise.chunks(TILE)).enumerate() {
        let values = &mut values[..gradient.len()];
        for ((value, gradient), may_rise) in values.iter_mut().zip(gradient).zip(may_rise) {
            *value = may_rise - gradient;
        }
        let highest = highest(values);
        if highest >= best && highest > f64::NEG_INFINITY {
            best = highest;
            found = values.iter().rposition(|value| *value == highest).map(|at| tile * TILE + at);
        }
    }
    (best, found)
}

/// The result of the search for the falling row: the highest gradient, the largest gain, and the row with that gain.
struct Found {
    highest: f64,
    gain: f64,
    at: Option<usize>,
}

/// Find the row that decreases the objective most when paired with the rising row, whose descent is `steepest`.
#[inline(always)]
fn gains(gradient: &[f64], may_fall: &[f64], kernel: &[f32], steepest: f64) -> Found {
    let mut found = Found { highest: f64::NEG_INFINITY, gain: f64::NEG_INFINITY, at: None };
    let (mut values, mut heights) = ([f64::NEG_INFINITY; TILE], [f64::NEG_INFINITY; TILE]);
    let tiles = gradient.chunks(TILE).zip(may_fall.chunks(TILE)).zip(kernel.chunks(TILE));
    for (tile, ((gradient, may_fall), kernel)) in tiles.enumerate() {
        let (values, heights) = (&mut values[..gradient.len()], &mut heights[..gradient.len()]);
        for at in 0..values.len() {
            let height = gradient[at] + may_fall[at];
            let slope = (steepest + height).max(0.0);
            let curvature = (2.0 - 2.0 * f64::from(kernel[at])).max(TAU);
            heights[at] = height;
            values[at] = slope * slope / curvature;
        }
        found.highest = found.highest.max(highest(heights));
        let gain = highest(values);
        // A pair without a gain violates no condition.
        if gain > 0.0 && gain >= found.gain {
            found.gain = gain;
            found.at = values.iter().rposition(|value| *value == gain).map(|at| tile * TILE + at);
        }
    }
    found
}

/// Return the highest value.
#[inline(always)]
fn highest(values: &[f64]) -> f64 {
    const LANES: usize = 16;
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f64::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = larger(lanes[lane], chunk[lane]);
        }
    }
    lanes.iter().chain(rest).fold(f64::NEG_INFINITY, |best, value| larger(best, *value))
}
