//! Lasso and elastic net by cyclic coordinate descent with gap-safe screening: scikit-learn's sweeps, order and stopping rule.
//!
//! The columns and the target must be centred, because there is no intercept.

use duet_worker::{Job, Result};

use super::residual::Residual;
use super::{Fit, Table};
use crate::vector::Vectors;

/// The objective ‖y − Xw‖²/2n + αρ‖w‖₁ + α(1 − ρ)‖w‖²/2, and the stopping rule.
#[derive(Clone, Copy)]
pub(super) struct Penalty {
    alpha: f64,
    l1_ratio: f64,
    tolerance: f64,
    max_sweeps: u64,
}

impl Penalty {
    pub(super) fn read(job: &Job, l1_ratio: f64) -> Result<Self> {
        let (alpha, tolerance) = (job.f64("alpha")?, job.f64("tol")?);
        Ok(Self { alpha, l1_ratio, tolerance, max_sweeps: job.u64("max_iterations")? })
    }
}

/// Fit from zero weights; `residual` is that of zero weights.
pub(super) fn fit(residual: impl Residual, table: &Table, penalty: Penalty, vectors: Vectors) -> Fit {
    let mut descent = Descent::new(residual, table, penalty, vectors);
    let tolerance = penalty.tolerance * vectors.dot(&table.y, &table.y);
    let mut sweeps = 0;
    let mut converged = descent.gap() <= tolerance;
    if !converged {
        descent.screen();
    }
    while !converged && sweeps < penalty.max_sweeps {
        sweeps += 1;
        let Change { largest, of } = descent.sweep();
        if of == 0.0 || largest / of <= penalty.tolerance || sweeps == penalty.max_sweeps {
            // Small changes of weights are only a hint; the duality gap bounds the distance from the minimum.
            converged = descent.gap() <= tolerance;
            if !converged {
                descent.screen();
            }
        }
    }
    Fit { coef: descent.weights, intercept: None, descent: Some((sweeps, converged)) }
}

/// The largest change of a weight in one sweep, and the largest weight.
struct Change {
    largest: f64,
    of: f64,
}

/// The state of the descent.
struct Descent<R> {
    residual: R,
    vectors: Vectors,
    /// The penalties of the objective times n.
    l1: f64,
    l2: f64,
    weights: Vec<f64>,
    /// Columns that may have a weight other than zero.
    active: Vec<usize>,
    /// Xᵀr − l2·w at the last gap, its largest magnitude, and the gap.
    correlations: Vec<f64>,
    largest_correlation: f64,
    last_gap: f64,
}

impl<R: Residual> Descent<R> {
    fn new(residual: R, table: &Table, penalty: Penalty, vectors: Vectors) -> Self {
        let (rows, columns) = (table.x.rows as f64, table.x.columns);
        // The weight of a column of zeros stays zero.
        let active = (0..columns).filter(|&column| residual.norm(column) != 0.0).collect();
        Self {
            residual,
            vectors,
            l1: penalty.alpha * penalty.l1_ratio * rows,
            l2: penalty.alpha * (1.0 - penalty.l1_ratio) * rows,
            weights: vec![0.0; columns],
            active,
            correlations: vec![0.0; columns],
            largest_correlation: 0.0,
            last_gap: f64::INFINITY,
        }
    }

    /// Set each active weight to its best value given the others.
    fn sweep(&mut self) -> Change {
        let mut change = Change { largest: 0.0, of: 0.0 };
        for &column in &self.active {
            let (norm, old) = (self.residual.norm(column), self.weights[column]);
            let best = self.residual.correlation(column) + old * norm;
            let new = soft_threshold(best, self.l1) / (norm + self.l2);
            if new != old {
                self.weights[column] = new;
                self.residual.take(column, new - old);
            }
            change.largest = change.largest.max((new - old).abs());
            change.of = change.of.max(new.abs());
        }
        change
    }

    /// Compute the duality gap: an upper bound on the distance of the objective times n from its minimum.
    fn gap(&mut self) -> f64 {
        let (squared_residual, residual_times_target) =
            self.residual.sum_up(&self.weights, &mut self.correlations);
        let squared_gradient = self.vectors.dot(&self.correlations, &self.correlations);
        let weights = &self.weights;
        let squared_weights = self.vectors.dot(weights, weights);
        for (correlation, weight) in self.correlations.iter_mut().zip(weights) {
            *correlation -= self.l2 * weight;
        }
        self.largest_correlation =
            self.correlations.iter().fold(0.0, |largest, value| value.abs().max(largest));
        self.last_gap = if self.l1 == 0.0 {
            self.gap_without_l1(squared_residual, squared_weights, residual_times_target, squared_gradient)
        } else {
            let absolute_weights: f64 = weights.iter().map(|weight| weight.abs()).sum();
            let smooth = squared_residual + self.l2 * squared_weights;
            // Scale the residual down to a feasible point of the dual.
            let scale =
                if self.largest_correlation > self.l1 { self.l1 / self.largest_correlation } else { 1.0 };
            let primal = 0.5 * smooth + self.l1 * absolute_weights;
            primal + 0.5 * scale * scale * smooth - scale * residual_times_target
        };
        self.last_gap
    }

    /// Return the gap of ridge regression, or the gradient's squared norm if there is no penalty at all.
    fn gap_without_l1(
        &self,
        squared_residual: f64,
        squared_weights: f64,
        residual_times_target: f64,
        squared_gradient: f64,
    ) -> f64 {
        if self.l2 == 0.0 {
            return squared_gradient;
        }
        let smooth = squared_residual + 0.5 * self.l2 * squared_weights;
        smooth - residual_times_target + squared_gradient / (2.0 * self.l2)
    }

    /// Remove the columns that the gap proves to have a zero weight at the minimum (Ndiaye et al. 2017, gap-safe rules).
    fn screen(&mut self) {
        if self.l1 == 0.0 {
            return;
        }
        let radius = (2.0 * self.last_gap).sqrt() / self.l1;
        let scale = self.l1.max(self.largest_correlation);
        let (correlations, l2) = (&self.correlations, self.l2);
        let (residual, weights) = (&mut self.residual, &mut self.weights);
        self.active.retain(|&column| {
            let distance = (1.0 - (correlations[column] / scale).abs()) / (residual.norm(column) + l2).sqrt();
            // If the gap is not a number, remove every column, as scikit-learn does.
            let keep = distance <= radius;
            if !keep && weights[column] != 0.0 {
                residual.take(column, -weights[column]);
                weights[column] = 0.0;
            }
            keep
        });
    }
}

/// Move `value` towards zero by `threshold`, at most to zero.
fn soft_threshold(value: f64, threshold: f64) -> f64 {
    (value.abs() - threshold).max(0.0) * if value < 0.0 { -1.0 } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::super::residual::{Direct, Products};
    use super::*;
    use duet_worker::{Matrix, Order};

    /// Return a table of two orthogonal columns, so that each weight can be computed by hand.
    fn table() -> Table {
        let data = [[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]].concat();
        let x = Matrix { rows: 4, columns: 2, order: Order::Fortran, data };
        Table { x, y: vec![3.5, 2.5, -2.5, -3.5] }
    }

    fn solve(alpha: f64, l1_ratio: f64) -> Fit {
        let penalty = Penalty { alpha, l1_ratio, tolerance: 1e-12, max_sweeps: 100 };
        let (table, vectors) = (table(), Vectors::detect());
        let direct = fit(Direct::of(&table, vectors), &table, penalty, vectors);
        let products = fit(Products::of(&table, vectors), &table, penalty, vectors);
        assert_eq!(direct.coef, products.coef);
        direct
    }

    #[test]
    fn lasso_subtracts_the_penalty_from_each_correlation() {
        // Xᵀy/n = 3 and .5: w = 3 − 1 and 0.
        let fit = solve(1.0, 1.0);
        assert_eq!(vec![2.0, 0.0], fit.coef);
        assert!(fit.descent.unwrap().1);
    }

    #[test]
    fn elastic_net_also_shrinks_the_weights() {
        // w = (3 − .5) / (1 + .5) and max(.5 − .5, 0).
        let fit = solve(1.0, 0.5);
        assert!((fit.coef[0] - 2.5 / 1.5).abs() < 1e-12);
        assert_eq!(0.0, fit.coef[1]);
    }

    #[test]
    fn a_penalty_above_every_correlation_gives_zero_weights_without_a_sweep() {
        let fit = solve(10.0, 1.0);
        assert_eq!((vec![0.0, 0.0], Some((0, true))), (fit.coef, fit.descent));
    }

    #[test]
    fn without_a_penalty_the_fit_is_least_squares() {
        let fit = solve(0.0, 1.0);
        assert!((fit.coef[0] - 3.0).abs() < 1e-9 && (fit.coef[1] - 0.5).abs() < 1e-9);
    }

    #[test]
    fn too_few_sweeps_are_reported_as_not_converged() {
        let mut table = table();
        table.x.data[4..].copy_from_slice(&[1.0, 1.0, -1.0, -0.9]);
        let penalty = Penalty { alpha: 0.001, l1_ratio: 1.0, tolerance: 1e-14, max_sweeps: 1 };
        let vectors = Vectors::detect();
        assert_eq!(Some((1, false)), fit(Direct::of(&table, vectors), &table, penalty, vectors).descent);
    }
}
