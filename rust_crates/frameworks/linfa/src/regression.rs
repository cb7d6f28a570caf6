//! Linear models through linfa's public interface.
//!
//! linfa has no ridge regression, and its elastic net without the absolute penalty never stops early; see
//! `tests/known_differences.rs`.

use duet_worker::{Call, Error, Implementation, Job, Order, Outputs, Registry, Result};
use linfa::prelude::*;
use linfa_elasticnet::ElasticNet;
use linfa_linear::LinearRegression;
use ndarray::{Array1, Array2};

use crate::array;

/// Register the linear models of linfa that can be compared.
pub fn register(registry: &mut Registry) {
    registry.add("regression", "linear", "train", |job| train(job, Model::Linear));
    registry.add("regression", "linear", "predict", |job| predict(job, Model::Linear));
    registry.add("regression", "lasso", "train", |job| train(job, Model::lasso(job)?));
    registry.add("regression", "lasso", "predict", |job| predict(job, Model::lasso(job)?));
    registry.add("regression", "elasticnet", "train", |job| train(job, Model::elastic_net(job)?));
    registry.add("regression", "elasticnet", "predict", |job| predict(job, Model::elastic_net(job)?));
}

/// A model.
#[derive(Clone, Copy)]
enum Model {
    /// Least squares with an intercept.
    Linear,
    /// Coordinate descent on a centred target, without an intercept, for which linfa would not centre the columns.
    Descent { alpha: f64, l1_ratio: f64, tolerance: f64, max_iterations: u32 },
}

impl Model {
    fn lasso(job: &Job) -> Result<Self> {
        Self::descent(job, 1.0)
    }

    fn elastic_net(job: &Job) -> Result<Self> {
        Self::descent(job, job.f64("l1_ratio")?)
    }

    fn descent(job: &Job, l1_ratio: f64) -> Result<Self> {
        let max_iterations = u32::try_from(job.u64("max_iterations")?)
            .map_err(|_| Error::invalid("max_iterations is over linfa's limit; give at most 4294967295"))?;
        Ok(Self::Descent { alpha: job.f64("alpha")?, l1_ratio, tolerance: job.f64("tol")?, max_iterations })
    }

    fn target(self) -> &'static str {
        if matches!(self, Self::Linear) { "y_train" } else { "y_train_centred" }
    }

    fn fit(self, x: &Array2<f64>, y: &Array1<f64>) -> Result<Fitted> {
        let table = DatasetBase::new(x.view(), y.view());
        match self {
            Self::Linear => Ok(Fitted::Linear(LinearRegression::new().fit(&table)?)),
            Self::Descent { alpha, l1_ratio, tolerance, max_iterations } => {
                let params = ElasticNet::params().with_intercept(false).penalty(alpha).l1_ratio(l1_ratio);
                let fit = params.tolerance(tolerance).max_iterations(max_iterations).fit(&table)?;
                Ok(Fitted::Descent { fit, allowed_gap: tolerance * y.dot(y) })
            }
        }
    }
}

/// A fitted model, as linfa returns it.
enum Fitted {
    Linear(linfa_linear::FittedLinearRegression<f64>),
    Descent { fit: ElasticNet<f64>, allowed_gap: f64 },
}

/// The training data.
struct Table {
    x: Array2<f64>,
    y: Array1<f64>,
}

impl Table {
    fn read(job: &Job, model: Model) -> Result<Self> {
        // In column-major order: coordinate descent reads columns, and is 2.5 times slower on row-major data.
        let (x, y) = job.table_f64("X_train", model.target(), Order::Fortran)?;
        Ok(Self { x: array(x)?, y: Array1::from(y) })
    }
}

/// Fit a model from scratch.
fn train(job: &Job, model: Model) -> Result<impl Implementation + use<>> {
    let table = Table::read(job, model)?;
    let rows = table.y.len();
    let run = move || model.fit(&table.x, &table.y);
    Ok(Call::new(run, |fit: &Fitted| Ok(outputs(fit))).work("samples", rows))
}

fn outputs(fit: &Fitted) -> Outputs {
    match fit {
        Fitted::Linear(fit) => {
            Outputs::new().array("coef", fit.params().to_vec()).array("intercept", vec![fit.intercept()])
        }
        Fitted::Descent { fit, allowed_gap } => Outputs::new()
            .array("coef", fit.hyperplane().to_vec())
            .iterations(u64::from(fit.n_steps()))
            .converged(fit.duality_gap() < *allowed_gap),
    }
}

/// Predict the held-out rows with a model that is fitted while preparing.
fn predict(job: &Job, model: Model) -> Result<impl Implementation + use<>> {
    let table = Table::read(job, model)?;
    let fit = model.fit(&table.x, &table.y)?;
    let x = array(job.matrix_f64("X_test", Order::C)?)?;
    let rows = x.nrows();
    let run = move || {
        Ok(match &fit {
            Fitted::Linear(fit) => fit.predict(&x),
            Fitted::Descent { fit, .. } => fit.predict(&x),
        })
    };
    let outputs = |prediction: &Array1<f64>| Ok(Outputs::new().array("prediction", prediction.to_vec()));
    Ok(Call::new(run, outputs).work("samples", rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Return a table of two orthogonal columns, so that each weight can be computed by hand.
    fn table() -> (Array2<f64>, Array1<f64>) {
        let x = ndarray::array![[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]];
        (x, ndarray::array![3.5, 2.5, -2.5, -3.5])
    }

    fn coef(fit: &Fitted) -> Vec<f64> {
        match fit {
            Fitted::Linear(fit) => fit.params().to_vec(),
            Fitted::Descent { fit, .. } => fit.hyperplane().to_vec(),
        }
    }

    #[track_caller]
    fn assert_near(expected: [f64; 2], found: &[f64]) {
        assert!(expected.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-9), "{expected:?} {found:?}");
    }

    #[test]
    fn the_penalties_match_the_reference() {
        let (x, y) = table();
        let model = |l1_ratio| Model::Descent { alpha: 1.0, l1_ratio, tolerance: 1e-12, max_iterations: 100 };
        // Xᵀy/n = 3 and .5: lasso subtracts 1 from each, the elastic net .5, and divides by 1.5.
        assert_near([2.0, 0.0], &coef(&model(1.0).fit(&x, &y).unwrap()));
        assert_near([2.5 / 1.5, 0.0], &coef(&model(0.5).fit(&x, &y).unwrap()));
    }

    #[test]
    fn least_squares_has_an_intercept() {
        let (x, y) = table();
        let fit = Model::Linear.fit(&x, &(y + 7.0)).unwrap();
        assert_near([3.0, 0.5], &coef(&fit));
        let Fitted::Linear(fit) = fit else { panic!() };
        assert!((fit.intercept() - 7.0).abs() < 1e-9);
    }
}
