//! Linear models: jobs and outputs of the solvers in the modules below.

mod descent;
mod gram;
mod least_squares;
mod residual;

use duet_worker::{Call, Error, Implementation, Job, Matrix, Order, Outputs, Registry, Result};

use crate::vector::Vectors;
use descent::Penalty;
use residual::{Direct, Products};

/// Register every linear model.
pub fn register(registry: &mut Registry) {
    for algorithm in ["linear", "ridge", "lasso", "elasticnet"] {
        registry.add("regression", algorithm, "train", train);
        registry.add("regression", algorithm, "predict", predict);
    }
}

/// A model and the solver that fits it.
#[derive(Clone, Copy)]
enum Model {
    /// Least squares by QR.
    Qr,
    /// Least squares with an optional squared penalty, by the normal equations.
    Gram { alpha: f64 },
    /// Coordinate descent on a centred target, without an intercept.
    Descent(Penalty),
    /// The same steps on products of columns.
    GramDescent(Penalty),
}

impl Model {
    fn of(job: &Job) -> Result<Self> {
        match job.algorithm() {
            // Prediction does not depend on the solver.
            "linear" if job.phase() == "train" => Ok(match job.variant(&["", "gram"])? {
                "gram" => Self::Gram { alpha: 0.0 },
                _ => Self::Qr,
            }),
            "linear" => Ok(Self::Qr),
            "ridge" => Ok(Self::Gram { alpha: job.f64("alpha")? }),
            algorithm => {
                let l1_ratio = if algorithm == "lasso" { 1.0 } else { job.f64("l1_ratio")? };
                let penalty = Penalty::read(job, l1_ratio)?;
                let is_gram = job.variant(&["", "gram"])? == "gram";
                Ok(if is_gram { Self::GramDescent(penalty) } else { Self::Descent(penalty) })
            }
        }
    }

    fn target(self) -> &'static str {
        if matches!(self, Self::Descent(_) | Self::GramDescent(_)) { "y_train_centred" } else { "y_train" }
    }
}

/// A fitted model.
struct Fit {
    coef: Vec<f64>,
    /// `None` if the model has no intercept.
    intercept: Option<f64>,
    /// For coordinate descent: the number of sweeps, and whether the last one met the stopping rule.
    descent: Option<(u64, bool)>,
}

/// The training data; columns are contiguous.
struct Table {
    x: Matrix<f64>,
    y: Vec<f64>,
}

impl Table {
    fn read(job: &Job, model: Model) -> Result<Self> {
        let (x, y) = job.table_f64("X_train", model.target(), Order::Fortran)?;
        if x.rows <= x.columns {
            let what = format!("X_train is {} by {}; give more rows than columns", x.rows, x.columns);
            return Err(Error::invalid(what));
        }
        Ok(Self { x, y })
    }

    fn column(&self, column: usize) -> &[f64] {
        &self.x.data[column * self.x.rows..(column + 1) * self.x.rows]
    }
}

fn fit(table: &Table, model: Model, vectors: Vectors) -> Result<Fit> {
    match model {
        Model::Qr => least_squares::by_qr(table, vectors),
        Model::Gram { alpha } => least_squares::by_normal_equations(table, alpha, vectors),
        Model::Descent(penalty) => {
            let fit = || Ok(descent::fit(Direct::of(table, vectors), table, penalty, vectors));
            // Run inside the pool, where parallel work of some microseconds costs less to start than from outside.
            if gram::threads() == 1 { fit() } else { rayon::scope(|_| fit()) }
        }
        Model::GramDescent(penalty) => {
            Ok(descent::fit(Products::of(table, vectors), table, penalty, vectors))
        }
    }
}

/// Fit a model from scratch.
fn train(job: &Job) -> Result<impl Implementation + use<>> {
    let (model, vectors) = (Model::of(job)?, Vectors::detect());
    let table = Table::read(job, model)?;
    let rows = table.x.rows;
    let outputs = |fit: &Fit| {
        let mut outputs = Outputs::new().array("coef", fit.coef.clone());
        if let Some(intercept) = fit.intercept {
            outputs = outputs.array("intercept", vec![intercept]);
        }
        if let Some((sweeps, converged)) = fit.descent {
            outputs = outputs.iterations(sweeps).converged(converged);
        }
        Ok(outputs)
    };
    Ok(Call::new(move || fit(&table, model, vectors), outputs).work("samples", rows))
}

/// Predict the held-out rows with a model that is fitted while preparing.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let (model, vectors) = (Model::of(job)?, Vectors::detect());
    let table = Table::read(job, model)?;
    let x = job.matrix_f64("X_test", Order::C)?;
    if x.columns != table.x.columns {
        return Err(Error::invalid("X_test and X_train have different numbers of columns; write both again"));
    }
    let fit = fit(&table, model, vectors)?;
    let rows = x.rows;
    let run = move || Ok(vectors.affine(&x.data, &fit.coef, fit.intercept.unwrap_or_default()));
    let outputs = |prediction: &Vec<f64>| Ok(Outputs::new().array("prediction", prediction.clone()));
    Ok(Call::new(run, outputs).work("samples", rows))
}
