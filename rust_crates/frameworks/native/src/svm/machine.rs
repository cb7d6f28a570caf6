//! Classifiers with a Gaussian kernel, one for each pair of classes: their problems and decisions. `smo` solves the problems.

use std::ops::Range;

use duet_worker::{Error, Matrix, Result};
use rayon::prelude::*;

use super::kernel::Kernel;
use super::smo::{Problem, Solution, solve};
use crate::vector::Vectors;

/// The bound on the dual coefficients.
#[derive(Clone, Copy)]
pub(super) enum Bound {
    /// The cost of a misclassified row.
    C(f64),
    /// The minimum share of rows that are support vectors.
    Nu(f64),
}

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub bound: Bound,
    pub gamma: f64,
    pub tolerance: f64,
    pub cache_mb: f64,
    pub threads: usize,
}

/// A fitted classifier.
pub(super) struct Machine {
    /// The training row of each support vector, ordered by class.
    support: Vec<usize>,
    /// The support vectors of each class.
    ranges: Vec<Range<usize>>,
    kernel: Kernel,
    /// The coefficients of both classes' support vectors for each pair of classes (0, 1), (0, 2), …; positive for the later class.
    coefs: Vec<(Vec<f64>, Vec<f64>)>,
    pub intercepts: Vec<f64>,
    /// Total number of steps of all pairs.
    pub iterations: u64,
}

impl Machine {
    pub fn fit(x: &Matrix<f64>, classes: &[usize], settings: Settings, vectors: Vectors) -> Result<Self> {
        let count = classes.iter().max().map_or(0, |last| last + 1);
        let mut of_class = vec![Vec::new(); count];
        for (row, &class) in classes.iter().enumerate() {
            of_class[class].push(row);
        }
        let mut solved = Vec::new();
        for (first, second) in pairs(count) {
            solved.push(separate(x, &of_class[first], &of_class[second], settings, vectors)?);
        }
        Ok(Self::assembled(x, &of_class, &solved, settings.gamma, vectors))
    }

    fn assembled(
        x: &Matrix<f64>,
        of_class: &[Vec<usize>],
        solved: &[Binary],
        gamma: f64,
        vectors: Vectors,
    ) -> Self {
        let mut is_support: Vec<Vec<bool>> = of_class.iter().map(|rows| vec![false; rows.len()]).collect();
        for ((first, second), binary) in pairs(of_class.len()).zip(solved) {
            let (left, right) = binary.dual.split_at(of_class[first].len());
            for (class, dual) in [(first, left), (second, right)] {
                is_support[class].iter_mut().zip(dual).for_each(|(is, value)| *is |= *value != 0.0);
            }
        }
        let (mut support, mut ranges) = (Vec::new(), Vec::new());
        for (rows, is_support) in of_class.iter().zip(&is_support) {
            let start = support.len();
            support.extend(rows.iter().zip(is_support).filter(|(_, is)| **is).map(|(row, _)| *row));
            ranges.push(start..support.len());
        }
        let kept = |class: usize, dual: &[f64]| {
            dual.iter().zip(&is_support[class]).filter(|(_, is)| **is).map(|(value, _)| *value).collect()
        };
        let coefs = pairs(of_class.len()).zip(solved).map(|((first, second), binary)| {
            let (left, right) = binary.dual.split_at(of_class[first].len());
            (kept(first, left), kept(second, right))
        });
        Self {
            coefs: coefs.collect(),
            kernel: Kernel::of(x, &support, gamma, 1, vectors),
            support,
            ranges,
            intercepts: solved.iter().map(|binary| binary.intercept).collect(),
            iterations: solved.iter().map(|binary| binary.steps).sum(),
        }
    }

    /// Return the coefficient of each of the `rows` training rows for each pair: pairs × rows.
    pub fn dual(&self, rows: usize) -> Vec<f64> {
        let mut dual = vec![0.0; rows * self.coefs.len()];
        for ((pair, (first, second)), (left, right)) in pairs(self.ranges.len()).enumerate().zip(&self.coefs)
        {
            for (class, coefs) in [(first, left), (second, right)] {
                for (vector, coef) in self.ranges[class].clone().zip(coefs) {
                    dual[pair * rows + self.support[vector]] = *coef;
                }
            }
        }
        dual
    }

    /// Return the decision of each pair on each row of `x`: rows × pairs, positive for the later class.
    pub fn decisions(&self, x: &Matrix<f64>, threads: usize, vectors: Vectors) -> Vec<f64> {
        let mut all = vec![0.0; x.rows * self.coefs.len()];
        let decide = |(row, decisions): (&[f64], &mut [f64])| {
            let mut kernel = vec![0.0; self.support.len()];
            self.kernel.row_of(row, &mut kernel);
            for ((index, (first, second)), decision) in pairs(self.ranges.len()).enumerate().zip(decisions) {
                let (left, right) = &self.coefs[index];
                *decision = vectors.dot(left, &kernel[self.ranges[first].clone()])
                    + vectors.dot(right, &kernel[self.ranges[second].clone()])
                    + self.intercepts[index];
            }
        };
        if threads == 1 {
            x.data.chunks_exact(x.columns).zip(all.chunks_exact_mut(self.coefs.len())).for_each(decide);
        } else {
            let rows = x.data.par_chunks_exact(x.columns);
            rows.zip(all.par_chunks_exact_mut(self.coefs.len())).for_each(decide);
        }
        all
    }

    /// Return the class that wins most pairs for each row of `x`, the first of equals.
    pub fn predict(&self, x: &Matrix<f64>, threads: usize, vectors: Vectors) -> Vec<usize> {
        let classes = self.ranges.len();
        let decisions = self.decisions(x, threads, vectors);
        let class_of = |decisions: &[f64]| {
            let mut votes = vec![0_usize; classes];
            for ((first, second), decision) in pairs(classes).zip(decisions) {
                votes[if *decision >= 0.0 { second } else { first }] += 1;
            }
            let winner = (0..classes).rev().max_by_key(|&class| votes[class]);
            winner.unwrap_or(0)
        };
        decisions.chunks_exact(self.coefs.len()).map(class_of).collect()
    }
}

/// Return every pair of `count` classes: (0, 1), (0, 2), …, (1, 2), …
fn pairs(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..count).flat_map(move |first| (first + 1..count).map(move |second| (first, second)))
}

/// The result for one pair: the coefficients of the first class's rows and then of the second's, positive for the second.
struct Binary {
    dual: Vec<f64>,
    intercept: f64,
    steps: u64,
}

fn separate(
    x: &Matrix<f64>,
    first: &[usize],
    second: &[usize],
    settings: Settings,
    vectors: Vectors,
) -> Result<Binary> {
    let rows = [first, second].concat();
    let kernel = Kernel::of(x, &rows, settings.gamma, settings.threads, vectors);
    let (positive, length) = (first.len(), rows.len());
    let mut problem = Problem {
        kernel: &kernel,
        positive,
        cost: 1.0,
        start: vec![0.0; length],
        slope: vec![0.0; length],
        parts: Vec::new(),
        tolerance: settings.tolerance,
        cache_mb: settings.cache_mb,
    };
    match settings.bound {
        Bound::C(cost) => {
            problem.cost = cost;
            problem.slope = (0..length).map(|row| if row < positive { -1.0 } else { 1.0 }).collect();
            problem.parts.push(0..length);
            let solution = solve(&problem, vectors);
            let offset = level(&solution, 0..length, |row| problem_bounds(row, positive, cost));
            Ok(Binary::of(&solution, 1.0, -offset))
        }
        Bound::Nu(share) => {
            let each = share * length as f64 / 2.0;
            if each > positive.min(length - positive) as f64 {
                let (a, b) = (positive, length - positive);
                let what = format!(
                    "nu = {share} is infeasible for classes of {a} and {b} rows; give less than {}",
                    2.0 * a.min(b) as f64 / length as f64
                );
                return Err(Error::invalid(what));
            }
            fill_up(&mut problem.start[..positive], each, 1.0);
            fill_up(&mut problem.start[positive..], each, -1.0);
            problem.parts = vec![0..positive, positive..length];
            let solution = solve(&problem, vectors);
            let bounds = |row| problem_bounds(row, positive, 1.0);
            let high = level(&solution, 0..positive, bounds);
            let low = level(&solution, positive..length, bounds);
            // Half the distance between the classes' margins becomes 1.
            let scale = (high - low) / 2.0;
            Ok(Binary::of(&solution, scale, -(high + low) / 2.0))
        }
    }
}

impl Binary {
    /// Change the sign, so that the second class is positive, and divide by the margin.
    fn of(solution: &Solution, margin: f64, intercept: f64) -> Self {
        // A zero coefficient is 0, not −0.
        let dual = solution.beta.iter().map(|beta| if *beta == 0.0 { 0.0 } else { -beta / margin });
        Self { dual: dual.collect(), intercept: -intercept / margin, steps: solution.steps }
    }
}

/// Distribute `total` over the first rows, at most 1 to each.
fn fill_up(beta: &mut [f64], total: f64, sign: f64) {
    let mut rest = total;
    for value in beta {
        let part = rest.min(1.0);
        *value = sign * part;
        rest -= part;
    }
}

fn problem_bounds(row: usize, positive: usize, cost: f64) -> (f64, f64) {
    if row < positive { (0.0, cost) } else { (-cost, 0.0) }
}

/// Return the gradient's level: its mean over the free rows, or the middle of the range that the bounded rows allow.
fn level(solution: &Solution, rows: Range<usize>, bounds: impl Fn(usize) -> (f64, f64)) -> f64 {
    let (mut sum, mut free) = (0.0, 0_usize);
    let (mut least, mut largest) = (f64::NEG_INFINITY, f64::INFINITY);
    for row in rows {
        let (beta, gradient) = (solution.beta[row], solution.gradient[row]);
        let (floor, ceiling) = bounds(row);
        if beta >= ceiling {
            least = least.max(gradient);
        } else if beta <= floor {
            largest = largest.min(gradient);
        } else {
            sum += gradient;
            free += 1;
        }
    }
    if free > 0 { sum / free as f64 } else { f64::midpoint(least, largest) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::Order;

    fn table(rows: usize, columns: usize, data: Vec<f64>) -> Matrix<f64> {
        Matrix { rows, columns, order: Order::C, data }
    }

    fn settings(bound: Bound) -> Settings {
        Settings { bound, gamma: 0.5, tolerance: 1e-10, cache_mb: 1.0, threads: 1 }
    }

    fn fitted(x: &Matrix<f64>, classes: &[usize], settings: Settings) -> Machine {
        Machine::fit(x, classes, settings, Vectors::detect()).unwrap()
    }

    /// Fit two rows, one of each class: the solution is symmetric and can be computed by hand.
    fn pair(bound: Bound) -> Machine {
        fitted(&table(2, 1, vec![0.0, 1.0]), &[0, 1], settings(bound))
    }

    #[track_caller]
    fn assert_near(expected: &[f64], found: &[f64]) {
        assert!(expected.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-6), "{expected:?} {found:?}");
        assert_eq!(expected.len(), found.len());
    }

    #[test]
    fn both_rows_lie_on_the_margin_if_the_bound_is_inactive() {
        // α = 1 / (1 − k), with k = exp(−γ) between the rows.
        let alpha = 1.0 / (1.0 - (-0.5_f64).exp());
        let machine = pair(Bound::C(100.0));
        assert_near(&[-alpha, alpha], &machine.dual(2));
        let decisions = machine.decisions(&table(2, 1, vec![0.0, 1.0]), 1, Vectors::detect());
        assert_near(&[-1.0, 1.0], &decisions);
    }

    #[test]
    fn the_cost_bounds_the_dual_coefficients_of_both_classes() {
        assert_eq!(vec![-0.25, 0.25], pair(Bound::C(0.25)).dual(2));
    }

    #[test]
    fn nu_is_scaled_so_that_the_margin_is_one() {
        let machine = pair(Bound::Nu(0.5));
        let decisions = machine.decisions(&table(2, 1, vec![0.0, 1.0]), 1, Vectors::detect());
        assert_near(&[-1.0, 1.0], &decisions);
    }

    #[test]
    fn the_error_for_an_infeasible_nu_names_the_limit() {
        let x = table(4, 1, vec![0.0, 1.0, 2.0, 3.0]);
        let error = Machine::fit(&x, &[0, 1, 1, 1], settings(Bound::Nu(0.9)), Vectors::detect());
        assert!(
            error
                .err()
                .unwrap()
                .message
                .contains("infeasible for classes of 1 and 3 rows; give less than 0.5")
        );
    }

    /// Return points around a circle, one sector per class.
    fn circle(rows: usize, classes: usize) -> (Matrix<f64>, Vec<usize>) {
        let angle = |row: usize| row as f64 * 2.399_963;
        let data = (0..rows).flat_map(|row| {
            let radius = 1.0 + 0.2 * (row as f64 * 0.7).sin();
            [radius * angle(row).cos(), radius * angle(row).sin()]
        });
        let sector = |row: usize| (angle(row) / std::f64::consts::TAU).fract() * classes as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number that is not negative"
        )]
        let of_row = |row: usize| sector(row) as usize;
        (table(rows, 2, data.collect()), (0..rows).map(of_row).collect())
    }

    #[test]
    fn the_optimality_conditions_hold_for_every_row() {
        let (x, classes) = circle(120, 2);
        for bound in [Bound::C(2.0), Bound::C(0.1)] {
            let Bound::C(cost) = bound else { unreachable!() };
            let machine = fitted(&x, &classes, settings(bound));
            let (dual, decisions) = (machine.dual(120), machine.decisions(&x, 2, Vectors::detect()));
            assert!(dual.iter().sum::<f64>().abs() < 1e-9);
            for (row, &class) in classes.iter().enumerate() {
                let sign = if class == 1 { 1.0 } else { -1.0 };
                let (alpha, margin) = (sign * dual[row], sign * decisions[row]);
                assert!((0.0..=cost).contains(&alpha));
                // The cache stores kernel rows with a precision of 24 bits.
                assert!(alpha > 0.0 || margin > 1.0 - 1e-5, "{row} {alpha} {margin}");
                assert!(alpha < cost || margin < 1.0 + 1e-5, "{row} {alpha} {margin}");
            }
        }
    }

    #[test]
    fn nu_bounds_the_share_of_support_vectors_and_of_margin_errors() {
        let (x, classes) = circle(120, 2);
        let machine = fitted(&x, &classes, settings(Bound::Nu(0.3)));
        let decisions = machine.decisions(&x, 1, Vectors::detect());
        let inside =
            (0..120).filter(|&row| decisions[row] * if classes[row] == 1 { 1.0 } else { -1.0 } < 1.0 - 1e-5);
        assert!(machine.support.len() >= 36);
        assert!(inside.count() <= 36);
    }

    #[test]
    fn several_classes_are_decided_by_a_vote() {
        let (x, classes) = circle(300, 4);
        let machine = fitted(&x, &classes, settings(Bound::C(50.0)));
        assert_eq!(6, machine.intercepts.len());
        let found = machine.predict(&x, 2, Vectors::detect());
        let right = classes.iter().zip(&found).filter(|(a, b)| a == b).count();
        assert!(right > 285, "{right}");
    }

    #[test]
    fn a_cache_of_a_few_rows_gives_the_same_result() {
        let (x, classes) = circle(200, 2);
        let small = Settings { cache_mb: 0.0, ..settings(Bound::C(1.0)) };
        assert_eq!(
            fitted(&x, &classes, settings(Bound::C(1.0))).dual(200),
            fitted(&x, &classes, small).dual(200)
        );
    }
}
