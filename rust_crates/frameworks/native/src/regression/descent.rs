//! Lasso and elastic net by cyclic coordinate descent with gap-safe screening: scikit-learn's sweeps, in its order, to its
//! stop rule.
//!
//! Not for intercepts: columns and target arrive centred.

use duet_worker::{Job, Result};

use super::{Fit, Table};
use crate::vector::Vectors;

/// What is minimised, and how closely: ‖y − Xw‖²/2n + αρ‖w‖₁ + α(1 − ρ)‖w‖²/2.
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

/// Fit from zero weights.
pub(super) fn fit(table: &Table, penalty: Penalty, vectors: Vectors) -> Fit {
    let mut descent = Descent::new(table, penalty, vectors);
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
            // Weights that hardly move are only a hint; the duality gap bounds what is left to gain.
            converged = descent.gap() <= tolerance;
            if !converged {
                descent.screen();
            }
        }
    }
    Fit { coef: descent.weights, intercept: None, descent: Some((sweeps, converged)) }
}

/// How far one sweep went: the largest change of a weight, and the largest weight.
struct Change {
    largest: f64,
    of: f64,
}

/// The descent under way.
struct Descent<'a> {
    table: &'a Table,
    vectors: Vectors,
    /// Penalties of the objective times n.
    l1: f64,
    l2: f64,
    /// Σx² of each column.
    norms: Vec<f64>,
    weights: Vec<f64>,
    /// y − Xw.
    residual: Vec<f64>,
    /// Columns that may have a weight.
    active: Vec<usize>,
    /// What the last gap was computed from: Xᵀr − l2·w, its largest magnitude, and the gap.
    correlations: Vec<f64>,
    largest_correlation: f64,
    last_gap: f64,
}

impl<'a> Descent<'a> {
    fn new(table: &'a Table, penalty: Penalty, vectors: Vectors) -> Self {
        let (rows, columns) = (table.x.rows as f64, table.x.columns);
        let norms: Vec<f64> =
            (0..columns).map(|column| vectors.dot(table.column(column), table.column(column))).collect();
        // A column of zeros never gets a weight.
        let active = (0..columns).filter(|&column| norms[column] != 0.0).collect();
        Self {
            table,
            vectors,
            l1: penalty.alpha * penalty.l1_ratio * rows,
            l2: penalty.alpha * (1.0 - penalty.l1_ratio) * rows,
            norms,
            weights: vec![0.0; columns],
            residual: table.y.clone(),
            active,
            correlations: vec![0.0; columns],
            largest_correlation: 0.0,
            last_gap: f64::INFINITY,
        }
    }

    /// Set each active weight to its best value given the others.
    fn sweep(&mut self) -> Change {
        let mut change = Change { largest: 0.0, of: 0.0 };
        // A changed weight's part in the residual is brought up to date together with the next column's correlation.
        let mut pending: Option<(f64, usize)> = None;
        for &column in &self.active {
            let x = self.table.column(column);
            let correlation = match pending.take() {
                Some((step, last)) => {
                    let last = self.table.column(last);
                    self.vectors.add_scaled_then_dot(&mut self.residual, step, last, x)
                }
                None => self.vectors.dot(x, &self.residual),
            };
            let old = self.weights[column];
            let best = correlation + old * self.norms[column];
            let new = soft_threshold(best, self.l1) / (self.norms[column] + self.l2);
            if new != old {
                self.weights[column] = new;
                pending = Some((old - new, column));
            }
            change.largest = change.largest.max((new - old).abs());
            change.of = change.of.max(new.abs());
        }
        if let Some((step, last)) = pending {
            self.vectors.add_scaled(&mut self.residual, step, self.table.column(last));
        }
        change
    }

    /// Compute the duality gap: how far the objective, times n, can still fall at most.
    fn gap(&mut self) -> f64 {
        let (vectors, residual, weights) = (self.vectors, &self.residual, &self.weights);
        let squared_weights = vectors.dot(weights, weights);
        let squared_residual = vectors.dot(residual, residual);
        let residual_times_target = vectors.dot(residual, &self.table.y);
        for (column, correlation) in self.correlations.iter_mut().enumerate() {
            *correlation = vectors.dot(self.table.column(column), residual) - self.l2 * weights[column];
        }
        self.largest_correlation =
            self.correlations.iter().fold(0.0, |largest, value| value.abs().max(largest));
        self.last_gap = if self.l1 == 0.0 {
            self.gap_without_l1(squared_residual, squared_weights, residual_times_target)
        } else {
            let absolute_weights: f64 = weights.iter().map(|weight| weight.abs()).sum();
            let smooth = squared_residual + self.l2 * squared_weights;
            // The residual, shrunk until it is a feasible point of the dual.
            let scale =
                if self.largest_correlation > self.l1 { self.l1 / self.largest_correlation } else { 1.0 };
            let primal = 0.5 * smooth + self.l1 * absolute_weights;
            primal + 0.5 * scale * scale * smooth - scale * residual_times_target
        };
        self.last_gap
    }

    /// The gap of ridge regression; without any penalty there is none, and the gradient's squared norm takes its place.
    fn gap_without_l1(&self, squared_residual: f64, squared_weights: f64, residual_times_target: f64) -> f64 {
        let gradient =
            (0..self.table.x.columns).map(|j| self.vectors.dot(self.table.column(j), &self.residual));
        let squared_gradient: f64 = gradient.map(|value| value * value).sum();
        if self.l2 == 0.0 {
            return squared_gradient;
        }
        let smooth = squared_residual + 0.5 * self.l2 * squared_weights;
        smooth - residual_times_target + squared_gradient / (2.0 * self.l2)
    }

    /// Leave out the columns that the gap proves to have no weight at the minimum (Ndiaye et al. 2017, gap-safe rules).
    fn screen(&mut self) {
        if self.l1 == 0.0 {
            return;
        }
        let radius = (2.0 * self.last_gap).sqrt() / self.l1;
        let scale = self.l1.max(self.largest_correlation);
        let (table, vectors, correlations, norms) =
            (self.table, self.vectors, &self.correlations, &self.norms);
        let (weights, residual, l2) = (&mut self.weights, &mut self.residual, self.l2);
        self.active.retain(|&column| {
            let distance = (1.0 - (correlations[column] / scale).abs()) / (norms[column] + l2).sqrt();
            // A gap that is not a number keeps everything out, as it does in scikit-learn.
            let keep = distance <= radius;
            if !keep && weights[column] != 0.0 {
                vectors.add_scaled(residual, weights[column], table.column(column));
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
    use super::*;
    use duet_worker::{Matrix, Order};

    /// Two columns at right angles, so that each weight has a solution by hand.
    fn table() -> Table {
        let data = [[1.0, 1.0, -1.0, -1.0], [1.0, -1.0, 1.0, -1.0]].concat();
        let x = Matrix { rows: 4, columns: 2, order: Order::Fortran, data };
        Table { x, y: vec![3.5, 2.5, -2.5, -3.5] }
    }

    fn solve(alpha: f64, l1_ratio: f64) -> Fit {
        let penalty = Penalty { alpha, l1_ratio, tolerance: 1e-12, max_sweeps: 100 };
        fit(&table(), penalty, Vectors::detect())
    }

    #[test]
    fn lasso_takes_the_penalty_off_each_correlation() {
        // Xᵀy/n = 3 and .5: w = 3 − 1 and 0.
        let fit = solve(1.0, 1.0);
        assert_eq!(vec![2.0, 0.0], fit.coef);
        assert!(fit.descent.unwrap().1);
    }

    #[test]
    fn elastic_net_shrinks_as_well() {
        // w = (3 − .5) / (1 + .5) and max(.5 − .5, 0).
        let fit = solve(1.0, 0.5);
        assert!((fit.coef[0] - 2.5 / 1.5).abs() < 1e-12);
        assert_eq!(0.0, fit.coef[1]);
    }

    #[test]
    fn a_penalty_above_every_correlation_leaves_nothing_and_needs_no_sweep() {
        let fit = solve(10.0, 1.0);
        assert_eq!((vec![0.0, 0.0], Some((0, true))), (fit.coef, fit.descent));
    }

    #[test]
    fn without_penalty_it_is_least_squares() {
        let fit = solve(0.0, 1.0);
        assert!((fit.coef[0] - 3.0).abs() < 1e-9 && (fit.coef[1] - 0.5).abs() < 1e-9);
    }

    #[test]
    fn too_few_sweeps_are_reported_as_not_converged() {
        let mut table = table();
        table.x.data[4..].copy_from_slice(&[1.0, 1.0, -1.0, -0.9]);
        let penalty = Penalty { alpha: 0.001, l1_ratio: 1.0, tolerance: 1e-14, max_sweeps: 1 };
        assert_eq!(Some((1, false)), fit(&table, penalty, Vectors::detect()).descent);
    }
}
