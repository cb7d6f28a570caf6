//! Linear models through smartcore's public interface. The columns of the data are centred and scaled.

use duet_worker::{Call, Implementation, Job, Order, Outputs, Registry, Result};
use smartcore::linalg::basic::arrays::{Array, ArrayView1, ArrayView2, MutArrayView2};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::linear::elastic_net::{ElasticNet, ElasticNetParameters};
use smartcore::linear::lasso::{Lasso, LassoParameters};
use smartcore::linear::linear_regression::{
    LinearRegression, LinearRegressionParameters, LinearRegressionSolverName,
};
use smartcore::linear::ridge_regression::{RidgeRegression, RidgeRegressionParameters};

use crate::dense;

/// Register every linear model of smartcore.
pub fn register(registry: &mut Registry) {
    for algorithm in ["linear", "ridge", "lasso", "elasticnet"] {
        registry.add("regression", algorithm, "train", train);
        registry.add("regression", algorithm, "predict", predict);
    }
}

/// A model, with the reference's parameters.
#[derive(Clone, Copy)]
enum Model {
    /// Least squares by QR.
    Linear,
    /// Least squares with a squared penalty, by the normal equations.
    Ridge { alpha: f64 },
    /// Least squares with an absolute penalty, by an interior-point method.
    Lasso(Path),
    /// Both penalties, by the same method.
    ElasticNet { l1_ratio: f64, path: Path },
}

/// The penalty and the stopping rule of the interior-point method.
#[derive(Clone, Copy)]
struct Path {
    alpha: f64,
    tolerance: f64,
    max_iterations: usize,
}

impl Path {
    /// Read the parameters and convert the tolerance.
    ///
    /// smartcore stops at a duality gap below a fraction of the objective, the reference at one below a fraction of the squared
    /// target. The final objective is at most half the squared target, its value for zero weights, so a fit that stops at twice
    /// the tolerance meets the reference's rule.
    fn read(job: &Job) -> Result<Self> {
        let (alpha, tolerance) = (job.f64("alpha")?, 2.0 * job.f64("tol")?);
        Ok(Self { alpha, tolerance, max_iterations: job.usize("max_iterations")? })
    }
}

impl Model {
    fn of(job: &Job) -> Result<Self> {
        Ok(match job.algorithm() {
            "linear" => Self::Linear,
            "ridge" => Self::Ridge { alpha: job.f64("alpha")? },
            "lasso" => Self::Lasso(Path::read(job)?),
            _ => Self::ElasticNet { l1_ratio: job.f64("l1_ratio")?, path: Path::read(job)? },
        })
    }

    fn target(self) -> &'static str {
        if matches!(self, Self::Linear | Self::Ridge { .. }) { "y_train" } else { "y_train_centred" }
    }

    fn fit(self, x: &DenseMatrix<f64>, y: &Vec<f64>) -> Result<Fitted> {
        match self {
            Self::Linear => {
                let params =
                    LinearRegressionParameters::default().with_solver(LinearRegressionSolverName::QR);
                Ok(Fitted::Linear(LinearRegression::fit(x, y, params)?))
            }
            Self::Ridge { alpha } => ridge(x, y, alpha),
            // smartcore does not halve the sum of squares, so the penalty must be doubled. It cannot predict without an
            // intercept; with one, the intercept is the mean of the target, which is zero.
            Self::Lasso(path) => {
                let params = LassoParameters::default().with_normalize(false).with_alpha(2.0 * path.alpha);
                let params = params.with_tol(path.tolerance).with_max_iter(path.max_iterations);
                Ok(Fitted::Lasso(Lasso::fit(x, y, params)?))
            }
            Self::ElasticNet { l1_ratio, path } => {
                // Double the absolute penalty but not the squared one, which the reference halves too.
                let params = ElasticNetParameters::default().with_normalize(false);
                let params = params
                    .with_alpha(path.alpha * (1.0 + l1_ratio))
                    .with_l1_ratio(2.0 * l1_ratio / (1.0 + l1_ratio));
                let params = params.with_tol(path.tolerance).with_max_iter(path.max_iterations);
                Ok(Fitted::ElasticNet(ElasticNet::fit(x, y, params)?))
            }
        }
    }
}

/// A fitted model, as smartcore returns it.
enum Fitted {
    Linear(LinearRegression<f64, f64, DenseMatrix<f64>, Vec<f64>>),
    Ridge { fit: RidgeRegression<f64, f64, DenseMatrix<f64>, Vec<f64>>, intercept: f64 },
    Lasso(Lasso<f64, f64, DenseMatrix<f64>, Vec<f64>>),
    ElasticNet(ElasticNet<f64, f64, DenseMatrix<f64>, Vec<f64>>),
}

impl Fitted {
    fn coef(&self) -> Vec<f64> {
        let weights = match self {
            Self::Linear(fit) => fit.coefficients(),
            Self::Ridge { fit, .. } => fit.coefficients(),
            Self::Lasso(fit) => fit.coefficients(),
            Self::ElasticNet(fit) => fit.coefficients(),
        };
        weights.iterator(0).copied().collect()
    }

    fn predict(&self, x: &DenseMatrix<f64>) -> Result<Vec<f64>> {
        Ok(match self {
            Self::Linear(fit) => fit.predict(x)?,
            Self::Ridge { fit, intercept } => {
                fit.predict(x)?.into_iter().map(|value| value + intercept).collect()
            }
            Self::Lasso(fit) => fit.predict(x)?,
            Self::ElasticNet(fit) => fit.predict(x)?,
        })
    }
}

/// Centre the columns and fit: smartcore's ridge computes an intercept only if it also scales the columns, which would change the
/// penalty.
fn ridge(x: &DenseMatrix<f64>, y: &Vec<f64>, alpha: f64) -> Result<Fitted> {
    let means = x.mean_by(0);
    let mut centred = x.clone();
    centred.scale_mut(&means, &vec![1.0; means.len()], 0);
    let params = RidgeRegressionParameters::default().with_normalize(false).with_alpha(alpha);
    let fit = RidgeRegression::fit(&centred, y, params)?;
    let at_means: f64 = fit.coefficients().iterator(0).zip(&means).map(|(weight, mean)| weight * mean).sum();
    Ok(Fitted::Ridge { fit, intercept: y.mean_by() - at_means })
}

/// The training data.
struct Table {
    x: DenseMatrix<f64>,
    y: Vec<f64>,
}

impl Table {
    fn read(job: &Job, model: Model) -> Result<Self> {
        // In column-major order, the order of smartcore's loops.
        let (x, y) = job.table_f64("X_train", model.target(), Order::Fortran)?;
        Ok(Self { x: dense(x)?, y })
    }
}

/// Fit a model from scratch.
fn train(job: &Job) -> Result<impl Implementation + use<>> {
    let model = Model::of(job)?;
    let table = Table::read(job, model)?;
    let rows = table.y.len();
    let outputs = |fit: &Fitted| {
        let outputs = Outputs::new().array("coef", fit.coef());
        Ok(match fit {
            Fitted::Linear(fit) => outputs.array("intercept", vec![*fit.intercept()]),
            Fitted::Ridge { intercept, .. } => outputs.array("intercept", vec![*intercept]),
            // smartcore does not report iterations or convergence of these.
            Fitted::Lasso(_) | Fitted::ElasticNet(_) => outputs,
        })
    };
    Ok(Call::new(move || model.fit(&table.x, &table.y), outputs).work("samples", rows))
}

/// Predict the held-out rows with a model that is fitted while preparing.
fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let model = Model::of(job)?;
    let table = Table::read(job, model)?;
    let fit = model.fit(&table.x, &table.y)?;
    let x = job.matrix_f64("X_test", Order::C)?;
    let rows = x.rows;
    let x = dense(x)?;
    let outputs = |prediction: &Vec<f64>| Ok(Outputs::new().array("prediction", prediction.clone()));
    Ok(Call::new(move || fit.predict(&x), outputs).work("samples", rows))
}

#[cfg(test)]
mod tests {
    use smartcore::linalg::basic::arrays::{Array1, Array2};

    use super::*;

    /// Return a table of two orthogonal columns, so that each weight can be computed by hand.
    fn table() -> (DenseMatrix<f64>, Vec<f64>) {
        let x =
            DenseMatrix::from_2d_array(&[&[1.0, 1.0], &[1.0, -1.0], &[-1.0, 1.0], &[-1.0, -1.0]]).unwrap();
        (x, vec![3.5, 2.5, -2.5, -3.5])
    }

    fn path(alpha: f64) -> Path {
        Path { alpha, tolerance: 1e-12, max_iterations: 1000 }
    }

    #[track_caller]
    fn assert_near(expected: [f64; 2], found: &[f64]) {
        assert!(expected.iter().zip(found).all(|(a, b)| (a - b).abs() < 1e-9), "{expected:?} {found:?}");
    }

    #[test]
    fn the_penalties_match_the_reference() {
        let (x, y) = table();
        // Xᵀy/n = 3 and .5: lasso subtracts .25 from each, the elastic net .125, and divides by 1.125.
        assert_near([2.75, 0.25], &Model::Lasso(path(0.25)).fit(&x, &y).unwrap().coef());
        let net = Model::ElasticNet { l1_ratio: 0.5, path: path(0.25) };
        assert_near([2.875 / 1.125, 0.375 / 1.125], &net.fit(&x, &y).unwrap().coef());
    }

    #[test]
    fn ridge_adds_its_penalty_to_the_plain_sum_of_squares() {
        let (x, y) = table();
        // Xᵀy = 12 and 2, XᵀX = 4.
        assert_near([12.0 / 5.0, 2.0 / 5.0], &Model::Ridge { alpha: 1.0 }.fit(&x, &y).unwrap().coef());
    }

    #[test]
    fn shifting_columns_and_target_changes_the_intercept_alone() {
        let (x, y) = table();
        let moved = (x.add_scalar(5.0), y.add_scalar(7.0));
        for model in [Model::Linear, Model::Ridge { alpha: 1.0 }] {
            let fit = model.fit(&moved.0, &moved.1).unwrap();
            assert_near(model.fit(&x, &y).unwrap().coef().try_into().unwrap(), &fit.coef());
            let there: Vec<f64> = model.fit(&x, &y).unwrap().predict(&x).unwrap().add_scalar(7.0);
            let here = fit.predict(&moved.0).unwrap();
            assert!(there.iter().zip(&here).all(|(a, b)| (a - b).abs() < 1e-9), "{there:?} {here:?}");
        }
    }
}
