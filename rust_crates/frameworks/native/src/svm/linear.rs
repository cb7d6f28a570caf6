//! The linear machine with the squared hinge loss: ½(‖w‖² + b²) + C·Σ max(0, 1 − y(w·x + b))², minimised by Newton's method in the
//! primal or by coordinate descent in the dual, with LIBLINEAR's stopping rules (Hsieh et al. 2008, Lin et al. 2008).
//!
//! Newton's method stores the whole Hessian, so it does not suit thousands of columns.

use duet_worker::{Error, Matrix, Result};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::linalg::solvers::Solve as _;
use faer::{Accum, Mat, Side};

use crate::vector::Vectors;

/// Number of rows that are gathered and multiplied at a time, so that the copy stays in the cache.
const BLOCK_ROWS: usize = 256;

/// The fraction of the predicted decrease that a step must achieve.
const ENOUGH: f64 = 1e-4;

/// The number of halvings after which the line search stops, because a shorter step would be below rounding.
const MOST_HALVINGS: u32 = 40;

/// The form of the problem to solve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Form {
    Primal,
    Dual,
}

#[derive(Clone, Copy)]
pub(super) struct Settings {
    pub form: Form,
    pub cost: f64,
    pub tolerance: f64,
    pub max_iterations: u64,
    pub seed: i64,
}

/// A fitted classifier; the positive side is class 1.
pub(super) struct Plane {
    pub coef: Vec<f64>,
    pub intercept: f64,
    pub iterations: u64,
    pub converged: bool,
}

/// Fit a plane to the rows of `x`, which is in row-major order, and their signs.
pub(super) fn fit(x: &Matrix<f64>, signs: &[f64], settings: Settings, vectors: Vectors) -> Result<Plane> {
    match settings.form {
        Form::Primal => Newton { x, signs, cost: settings.cost, vectors }.fit(settings),
        Form::Dual => Ok(descend(x, signs, settings, vectors)),
    }
}

/// Newton's method; the bias is the last weight.
struct Newton<'a> {
    x: &'a Matrix<f64>,
    signs: &'a [f64],
    cost: f64,
    vectors: Vectors,
}

impl Newton<'_> {
    fn fit(&self, settings: Settings) -> Result<Plane> {
        let width = self.x.columns + 1;
        let mut weights = vec![0.0; width];
        let mut fields = vec![0.0; self.x.rows];
        let mut gradient = self.gradient(&weights, &fields);
        let allowed = settings.tolerance * self.rarer_share() * norm(&gradient);
        // Σxxᵀ over the rows inside the margin; few rows change between steps.
        let mut products = Mat::<f64>::zeros(width, width);
        let mut inside = vec![false; self.x.rows];
        let mut iterations = 0;
        while norm(&gradient) > allowed && iterations < settings.max_iterations {
            iterations += 1;
            self.follow(&fields, &mut inside, &mut products);
            let direction = self.direction(&products, &gradient)?;
            if !self.step(&mut weights, &mut fields, &gradient, &direction) {
                break;
            }
            gradient = self.gradient(&weights, &fields);
        }
        let converged = norm(&gradient) <= allowed;
        let intercept = weights.pop().unwrap_or_default();
        Ok(Plane { coef: weights, intercept, iterations, converged })
    }

    /// Return the share of the rarer class, by which LIBLINEAR scales its tolerance.
    fn rarer_share(&self) -> f64 {
        let positive = self.signs.iter().filter(|&&sign| sign > 0.0).count();
        positive.min(self.x.rows - positive).max(1) as f64 / self.x.rows as f64
    }

    fn row(&self, row: usize) -> &[f64] {
        &self.x.data[row * self.x.columns..(row + 1) * self.x.columns]
    }

    fn is_inside(&self, row: usize, field: f64) -> bool {
        self.signs[row] * field < 1.0
    }

    fn gradient(&self, weights: &[f64], fields: &[f64]) -> Vec<f64> {
        let mut gradient = weights.to_vec();
        let (bias, columns) =
            gradient.split_last_mut().unwrap_or_else(|| unreachable!("there is always a bias"));
        for (row, field) in fields.iter().enumerate() {
            if self.is_inside(row, *field) {
                let factor = 2.0 * self.cost * (field - self.signs[row]);
                self.vectors.add_scaled(columns, factor, self.row(row));
                *bias += factor;
            }
        }
        gradient
    }

    /// Update `products` to the rows that are now inside the margin.
    fn follow(&self, fields: &[f64], inside: &mut [bool], products: &mut Mat<f64>) {
        let (mut entered, mut left) = (Vec::new(), Vec::new());
        for (row, (inside, field)) in inside.iter_mut().zip(fields).enumerate() {
            let now = self.is_inside(row, *field);
            match (*inside, now) {
                (false, true) => entered.push(row),
                (true, false) => left.push(row),
                _ => {}
            }
            *inside = now;
        }
        self.add_products(&entered, 1.0, products);
        self.add_products(&left, -1.0, products);
    }

    /// Add `factor` times Σxxᵀ over `rows` to the lower triangle of `products`.
    fn add_products(&self, rows: &[usize], factor: f64, products: &mut Mat<f64>) {
        let columns = self.x.columns;
        let mut block = Mat::<f64>::ones(columns + 1, BLOCK_ROWS.min(rows.len()));
        for part in rows.chunks(BLOCK_ROWS) {
            for (at, &row) in part.iter().enumerate() {
                let column = block.col_mut(at).try_as_col_major_mut();
                let column =
                    column.unwrap_or_else(|| unreachable!("columns of an owned matrix are contiguous"));
                column.as_slice_mut()[..columns].copy_from_slice(self.row(row));
            }
            let gathered = block.as_ref().subcols(0, part.len());
            triangular::matmul(
                products.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                gathered,
                BlockStructure::Rectangular,
                gathered.transpose(),
                BlockStructure::Rectangular,
                factor,
                faer::get_global_parallelism(),
            );
        }
    }

    /// Solve (I + 2C Σxxᵀ)·d = −gradient.
    fn direction(&self, products: &Mat<f64>, gradient: &[f64]) -> Result<Vec<f64>> {
        let width = gradient.len();
        let hessian = Mat::from_fn(width, width, |row, column| {
            let identity = if row == column { 1.0 } else { 0.0 };
            // The factorisation reads the lower triangle only.
            if row >= column { identity + 2.0 * self.cost * products[(row, column)] } else { 0.0 }
        });
        let factor = hessian.llt(Side::Lower).map_err(|_| {
            Error::failed("the Hessian is not positive definite because of rounding; standardise the columns")
        })?;
        let mut direction = Mat::from_fn(width, 1, |row, _| -gradient[row]);
        factor.solve_in_place(direction.as_mut());
        Ok((0..width).map(|row| direction[(row, 0)]).collect())
    }

    /// Move along `direction` by the first step that decreases the objective enough; return whether it decreased at all.
    fn step(&self, weights: &mut [f64], fields: &mut [f64], gradient: &[f64], direction: &[f64]) -> bool {
        let (bias, columns) =
            direction.split_last().unwrap_or_else(|| unreachable!("there is always a bias"));
        let moves = self.vectors.affine(&self.x.data, columns, *bias);
        let predicted = self.vectors.dot(gradient, direction);
        let before = self.objective(weights, fields);
        let mut length = 1.0;
        for _ in 0..MOST_HALVINGS {
            let shifted = |from: &[f64], by: &[f64]| -> Vec<f64> {
                from.iter().zip(by).map(|(from, by)| from + length * by).collect()
            };
            let (new_weights, new_fields) = (shifted(weights, direction), shifted(fields, &moves));
            let after = self.objective(&new_weights, &new_fields);
            if after <= before + ENOUGH * length * predicted {
                weights.copy_from_slice(&new_weights);
                fields.copy_from_slice(&new_fields);
                return after < before;
            }
            length /= 2.0;
        }
        false
    }

    fn objective(&self, weights: &[f64], fields: &[f64]) -> f64 {
        let losses = fields.iter().zip(self.signs).map(|(field, sign)| {
            let slack = (1.0 - sign * field).max(0.0);
            slack * slack
        });
        0.5 * self.vectors.dot(weights, weights) + self.cost * losses.sum::<f64>()
    }
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Descend one dual coefficient at a time, in a new order each sweep, skipping those that seem to stay at 0.
fn descend(x: &Matrix<f64>, signs: &[f64], settings: Settings, vectors: Vectors) -> Plane {
    let diagonal = 0.5 / settings.cost;
    let row = |row: usize| &x.data[row * x.columns..(row + 1) * x.columns];
    let curvatures: Vec<f64> = (0..x.rows).map(|at| vectors.dot(row(at), row(at)) + 1.0 + diagonal).collect();
    let mut plane = Plane { coef: vec![0.0; x.columns], intercept: 0.0, iterations: 0, converged: false };
    let mut dual = vec![0.0; x.rows];
    let mut active: Vec<usize> = (0..x.rows).collect();
    let mut random = Random(settings.seed.unsigned_abs());
    // The largest violation of the previous sweep; coefficients whose gradient exceeds it are skipped.
    let mut limit = f64::INFINITY;
    while !plane.converged && plane.iterations < settings.max_iterations {
        plane.iterations += 1;
        let (mut largest, mut least) = (f64::NEG_INFINITY, f64::INFINITY);
        random.shuffle(&mut active);
        let mut kept = 0;
        for at in 0..active.len() {
            let (index, sign) = (active[at], signs[active[at]]);
            let field = vectors.dot(row(index), &plane.coef) + plane.intercept;
            let gradient = sign * field - 1.0 + dual[index] * diagonal;
            if dual[index] == 0.0 && gradient > limit {
                continue;
            }
            active.swap(kept, at);
            kept += 1;
            // At 0 only a negative gradient is a violation.
            let projected = if dual[index] == 0.0 { gradient.min(0.0) } else { gradient };
            (largest, least) = (largest.max(projected), least.min(projected));
            if projected.abs() > 1e-12 {
                let new = (dual[index] - gradient / curvatures[index]).max(0.0);
                let by = sign * (new - dual[index]);
                dual[index] = new;
                vectors.add_scaled(&mut plane.coef, by, row(index));
                plane.intercept += by;
            }
        }
        active.truncate(kept);
        if largest - least <= settings.tolerance {
            // The rule holds for the active coefficients; check it for all.
            plane.converged = active.len() == x.rows;
            active = (0..x.rows).collect();
            limit = f64::INFINITY;
        } else {
            limit = if largest > 0.0 { largest } else { f64::INFINITY };
        }
    }
    plane
}

/// A linear congruential generator, which is random enough to shuffle rows.
struct Random(u64);

impl Random {
    fn shuffle(&mut self, values: &mut [usize]) {
        for left in (1..values.len()).rev() {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let pick = ((self.0 >> 32) * (left as u64 + 1)) >> 32;
            values.swap(left, pick as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::Order;

    fn settings(form: Form) -> Settings {
        Settings { form, cost: 0.5, tolerance: 1e-10, max_iterations: 10_000, seed: 7 }
    }

    fn table() -> (Matrix<f64>, Vec<f64>) {
        let data: Vec<f64> = (0..400 * 3).map(|i| (f64::from(i * i + i) * 0.618).sin()).collect();
        let signs =
            data.chunks_exact(3).map(|row| if row[0] - 2.0 * row[1] > 0.2 * row[2] { 1.0 } else { -1.0 });
        let signs = signs.collect();
        (Matrix { rows: 400, columns: 3, order: Order::C, data }, signs)
    }

    #[test]
    fn one_row_of_each_class_gives_the_solution_computed_by_hand() {
        let x = Matrix { rows: 2, columns: 1, order: Order::C, data: vec![-1.0, 1.0] };
        for form in [Form::Primal, Form::Dual] {
            let plane = fit(&x, &[-1.0, 1.0], settings(form), Vectors::detect()).unwrap();
            // w + 2·C·2·(w − 1) = 0.
            assert!((plane.coef[0] - 2.0 / 3.0).abs() < 1e-9 && plane.intercept.abs() < 1e-9, "{form:?}");
            assert!(plane.converged);
        }
    }

    #[test]
    fn both_forms_give_the_same_plane_with_a_zero_gradient() {
        let (x, signs) = table();
        let planes = [Form::Primal, Form::Dual]
            .map(|form| fit(&x, &signs, settings(form), Vectors::detect()).unwrap());
        let newton = Newton { x: &x, signs: &signs, cost: 0.5, vectors: Vectors::detect() };
        for plane in &planes {
            let weights = [plane.coef.clone(), vec![plane.intercept]].concat();
            let fields = Vectors::detect().affine(&x.data, &plane.coef, plane.intercept);
            assert!(norm(&newton.gradient(&weights, &fields)) < 1e-6);
            assert!(plane.converged);
        }
        assert!(planes[0].coef.iter().zip(&planes[1].coef).all(|(a, b)| (a - b).abs() < 1e-8));
    }

    #[test]
    fn too_few_iterations_are_reported_as_not_converged() {
        let (x, signs) = table();
        for form in [Form::Primal, Form::Dual] {
            let plane =
                fit(&x, &signs, Settings { max_iterations: 1, ..settings(form) }, Vectors::detect()).unwrap();
            assert_eq!((1, false), (plane.iterations, plane.converged));
        }
    }
}
