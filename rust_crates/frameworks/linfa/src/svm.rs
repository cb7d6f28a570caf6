//! Support vector classifiers of two classes with a Gaussian kernel, through linfa's public interface.
//!
//! More classes and the linear kernel cannot be compared; see `tests/known_differences.rs`.

use duet_worker::{Array, Call, Error, Implementation, Job, Order, Outputs, Registry, Result};
use linfa::prelude::*;
use linfa_svm::Svm;
use ndarray::{Array1, Array2};

use crate::array;

/// Register the support vector classifiers of linfa that can be compared.
pub fn register(registry: &mut Registry) {
    registry.add("svm", "svc", "train", |job| train(job, Bound::C(job.f64("C")?)));
    registry.add("svm", "svc", "predict", |job| predict(job, Bound::C(job.f64("C")?)));
    registry.add("svm", "nu_svc", "train", |job| train(job, Bound::Nu(job.f64("nu")?)));
    registry.add("svm", "nu_svc", "predict", |job| predict(job, Bound::Nu(job.f64("nu")?)));
}

/// The bound on the dual coefficients.
#[derive(Clone, Copy)]
enum Bound {
    /// The cost of a misclassified row.
    C(f64),
    /// The minimum share of rows that are support vectors.
    Nu(f64),
}

/// The settings and the training data.
struct Problem {
    bound: Bound,
    tolerance: f64,
    gamma: f64,
    x: Array2<f64>,
    /// Whether each row is of the later class, which linfa calls positive.
    y: Array1<bool>,
}

impl Problem {
    fn read(job: &Job, bound: Bound) -> Result<Self> {
        // linfa computes the whole kernel matrix in advance, so the size of a cache has no effect.
        job.f64("cache_mb")?;
        let x = array(job.matrix_f64("X_train", Order::C)?)?;
        let (_, classes) = job.array_i64("y_train")?;
        let gamma = *job
            .vector_f64("gamma")?
            .first()
            .ok_or_else(|| Error::invalid("gamma is empty; write it again"))?;
        Ok(Self { bound, tolerance: job.f64("tol")?, gamma, x, y: positive(&classes)? })
    }

    fn fit(&self) -> Result<Svm<f64, bool>> {
        // With shrinking, linfa panics at tight tolerances.
        let params = Svm::<f64, bool>::params().eps(self.tolerance).shrinking(false);
        let params = match self.bound {
            Bound::C(cost) => params.pos_neg_weights(cost, cost),
            Bound::Nu(share) => params.nu_weight(share),
        };
        // linfa divides the squared distance by its parameter; other libraries multiply by gamma.
        Ok(params.gaussian_kernel(1.0 / self.gamma).fit(&DatasetBase::new(self.x.view(), self.y.view()))?)
    }
}

/// Return whether each class is 1; linfa supports only the classes 0 and 1.
fn positive(classes: &[i64]) -> Result<Array1<bool>> {
    let positive = classes.iter().map(|&class| match class {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Error::unsupported(format!(
            "y_train has class {other}, but linfa has no one-against-one for more than two; give classes 0 and 1"
        ))),
    });
    positive.collect()
}

/// Fit from scratch; the decisions on the held-out rows are computed outside the timed region.
fn train(job: &Job, bound: Bound) -> Result<impl Implementation + use<>> {
    let problem = Problem::read(job, bound)?;
    let x_test = array(job.matrix_f64("X_test", Order::C)?)?;
    let rows = problem.y.len();
    let outputs = move |fit: &Svm<f64, bool>| {
        let decision: Vec<f64> = x_test.outer_iter().map(|row| fit.weighted_sum(&row) - fit.rho).collect();
        let (iterations, converged) = ending(&fit.to_string())?;
        Ok(Outputs::new()
            .array("dual", Array::shaped(fit.alpha.clone(), &[1, fit.alpha.len()])?)
            .array("intercept", vec![-fit.rho])
            .array("decision", Array::shaped(decision, &[x_test.nrows(), 1])?)
            .iterations(iterations)
            .converged(converged))
    };
    Ok(Call::new(move || problem.fit(), outputs).work("samples", rows))
}

/// Parse how a fit ended from its description, the only place where linfa reports it.
fn ending(description: &str) -> Result<(u64, bool)> {
    let iterations = description.split(' ').find_map(|word| word.parse().ok());
    let iterations = iterations.ok_or_else(|| {
        Error::failed(format!("linfa's description {description:?} has no number of iterations"))
    })?;
    Ok((iterations, description.starts_with("Exited")))
}

/// Predict the held-out rows with a model that is fitted while preparing.
fn predict(job: &Job, bound: Bound) -> Result<impl Implementation + use<>> {
    let fit = Problem::read(job, bound)?.fit()?;
    let x = array(job.matrix_f64("X_test", Order::C)?)?;
    let rows = x.nrows();
    let outputs = |label: &Array1<bool>| Ok(Outputs::new().array("label", label.to_vec()));
    Ok(Call::new(move || Ok(fit.predict(&x)), outputs).work("samples", rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fit two rows, one of each class: the solution is symmetric and can be computed by hand.
    fn pair(bound: Bound) -> Svm<f64, bool> {
        let (x, y) = (ndarray::array![[0.0], [1.0]], ndarray::array![false, true]);
        Problem { bound, tolerance: 1e-10, gamma: 0.5, x, y }.fit().unwrap()
    }

    #[track_caller]
    fn assert_near(expected: f64, found: f64) {
        assert!((expected - found).abs() < 1e-9, "{expected} {found}");
    }

    #[test]
    fn gamma_multiplies_the_squared_distance() {
        // If the bound is inactive, α = 1 / (1 − k), with k = exp(−γ) between the rows.
        let fit = pair(Bound::C(100.0));
        let alpha = 1.0 / (1.0 - (-0.5_f64).exp());
        assert_near(-alpha, fit.alpha[0]);
        assert_near(alpha, fit.alpha[1]);
    }

    #[test]
    fn the_cost_bounds_the_dual_coefficients_of_both_classes() {
        let fit = pair(Bound::C(0.25));
        assert_eq!(vec![-0.25, 0.25], fit.alpha);
    }

    #[test]
    fn the_later_class_is_the_positive_one() {
        let fit = pair(Bound::C(1.0));
        assert!(fit.weighted_sum(&ndarray::array![1.0]) - fit.rho > 0.0);
        assert!(fit.weighted_sum(&ndarray::array![0.0]) - fit.rho < 0.0);
    }

    #[test]
    fn nu_is_scaled_so_that_the_margin_is_one() {
        let fit = pair(Bound::Nu(0.5));
        assert_near(1.0, fit.weighted_sum(&ndarray::array![1.0]) - fit.rho);
    }

    #[test]
    fn the_end_of_a_fit_is_parsed_from_its_description() {
        let (iterations, converged) = ending(&pair(Bound::C(1.0)).to_string()).unwrap();
        assert_eq!((1, true), (iterations, converged));
        assert_eq!(
            (9, false),
            ending("Reached maximal iterations 9 with obj = 1 and 2 support vectors").unwrap()
        );
    }

    #[test]
    fn a_third_class_is_an_error() {
        assert!(positive(&[0, 1, 2]).unwrap_err().message.contains("class 2"));
    }
}
