//! Linear models, written here.
//!
//! Not the arithmetic: `least_squares` and `descent` have it.

mod descent;
mod least_squares;

use std::collections::BTreeMap;

use duet_worker::{Error, Implementation, Job, Matrix, Order, Outputs, Registry, Result};

use crate::vector::Vectors;
use descent::Penalty;

/// Register every linear model.
pub fn register(registry: &mut Registry) {
    for algorithm in ["linear", "ridge", "lasso", "elasticnet"] {
        registry.add("regression", algorithm, "train", |job| Train::new(job, Model::of(job)?));
        registry.add("regression", algorithm, "predict", |job| Predict::new(job, Model::of(job)?));
    }
}

/// What is fitted, and how.
#[derive(Clone, Copy)]
enum Model {
    /// Least squares by QR.
    Qr,
    /// Least squares, with a squared penalty or none, through the normal equations.
    Gram { alpha: f64 },
    /// Coordinate descent on a centred target, without an intercept.
    Descent(Penalty),
}

impl Model {
    fn of(job: &Job) -> Result<Self> {
        match job.algorithm() {
            // Predicting is the same whichever way the weights were found.
            "linear" if job.phase() == "train" => Ok(match job.variant(&["", "gram"])? {
                "gram" => Self::Gram { alpha: 0.0 },
                _ => Self::Qr,
            }),
            "linear" => Ok(Self::Qr),
            "ridge" => Ok(Self::Gram { alpha: job.f64("alpha")? }),
            "lasso" => Ok(Self::Descent(Penalty::read(job, 1.0)?)),
            _ => Ok(Self::Descent(Penalty::read(job, job.f64("l1_ratio")?)?)),
        }
    }

    fn target(self) -> &'static str {
        if matches!(self, Self::Descent(_)) { "y_train_centred" } else { "y_train" }
    }
}

/// A fitted model.
struct Fit {
    coef: Vec<f64>,
    /// Nothing where the model has none.
    intercept: Option<f64>,
    /// Sweeps and whether the last met the stop rule, of a model that is fitted by sweeps.
    descent: Option<(u64, bool)>,
}

/// Rows to fit to, columns contiguous.
struct Table {
    x: Matrix<f64>,
    y: Vec<f64>,
}

impl Table {
    fn column(&self, column: usize) -> &[f64] {
        &self.x.data[column * self.x.rows..(column + 1) * self.x.rows]
    }
}

/// Fit from scratch.
struct Train {
    model: Model,
    table: Table,
    vectors: Vectors,
}

impl Train {
    fn new(job: &Job, model: Model) -> Result<Self> {
        let table =
            Table { x: job.matrix_f64("X_train", Order::Fortran)?, y: job.vector_f64(model.target())? };
        let (rows, columns) = (table.x.rows, table.x.columns);
        if rows != table.y.len() {
            let what = format!("X_train has {rows} rows, the target {}; write both again", table.y.len());
            return Err(Error::invalid(what));
        }
        if columns == 0 || rows <= columns {
            let what = format!(
                "X_train is {rows} by {columns}; give at least one column and more rows than columns"
            );
            return Err(Error::invalid(what));
        }
        Ok(Self { model, table, vectors: Vectors::detect() })
    }

    fn fit(&self) -> Result<Fit> {
        match self.model {
            Model::Qr => least_squares::by_qr(&self.table, self.vectors),
            Model::Gram { alpha } => least_squares::by_normal_equations(&self.table, alpha, self.vectors),
            Model::Descent(penalty) => Ok(descent::fit(&self.table, penalty, self.vectors)),
        }
    }
}

impl Implementation for Train {
    type Input = ();
    type Output = Fit;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Fit> {
        self.fit()
    }

    fn outputs(&self, fit: &Fit) -> Result<Outputs> {
        let mut outputs = Outputs::new().array("coef", fit.coef.clone());
        if let Some(intercept) = fit.intercept {
            outputs = outputs.array("intercept", vec![intercept]);
        }
        if let Some((sweeps, converged)) = fit.descent {
            outputs = outputs.iterations(sweeps).converged(converged);
        }
        Ok(outputs)
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("samples".to_owned(), self.table.x.rows as u64)])
    }
}

/// Predict the held-out rows with a model that was fitted beforehand.
struct Predict {
    fit: Fit,
    x: Matrix<f64>,
    vectors: Vectors,
}

impl Predict {
    fn new(job: &Job, model: Model) -> Result<Self> {
        let train = Train::new(job, model)?;
        let x = job.matrix_f64("X_test", Order::C)?;
        if x.columns != train.table.x.columns {
            return Err(Error::invalid("X_test and X_train differ in their columns; write both again"));
        }
        Ok(Self { fit: train.fit()?, x, vectors: train.vectors })
    }
}

impl Implementation for Predict {
    type Input = ();
    type Output = Vec<f64>;

    fn fresh(&self) -> Result<()> {
        Ok(())
    }

    fn run(&self, (): ()) -> Result<Vec<f64>> {
        Ok(self.vectors.affine(&self.x.data, &self.fit.coef, self.fit.intercept.unwrap_or_default()))
    }

    fn outputs(&self, prediction: &Vec<f64>) -> Result<Outputs> {
        Ok(Outputs::new().array("prediction", prediction.clone()))
    }

    fn work(&self) -> BTreeMap<String, u64> {
        BTreeMap::from([("samples".to_owned(), self.x.rows as u64)])
    }
}
