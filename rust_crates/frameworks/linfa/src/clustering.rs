//! Clustering through linfa's public interface.
//!
//! linfa's agglomerative clustering returns no heights and uses other distances; see `tests/known_differences.rs`.

use duet_worker::{Array, Call, Error, Implementation, Job, Order, Outputs, Registry, Result};
use linfa::prelude::*;
use linfa_clustering::{Dbscan, KMeans, KMeansInit};
use linfa_nn::CommonNearestNeighbour;
use linfa_nn::distance::L2Dist;
use ndarray::{Array1, Array2, Axis};

use crate::array;

/// Register the clustering algorithms of linfa that can be compared.
pub fn register(registry: &mut Registry) {
    registry.add("clustering", "kmeans", "train", kmeans_train);
    registry.add("clustering", "kmeans", "predict", kmeans_predict);
    registry.add("clustering", "dbscan", "train", dbscan_train);
}

/// k-means from given centres.
///
/// linfa implements m_k-means, which averages a centre with its own members, so that no cluster can become empty. It reaches the
/// same centres by other steps.
struct Centres {
    x: Array2<f64>,
    start: Array2<f64>,
    /// As in the reference: the squared shift of the centres divided by the mean variance of the columns.
    tolerance: f64,
    max_iterations: u64,
}

impl Centres {
    fn read(job: &Job) -> Result<Self> {
        let centres = Self {
            x: array(job.matrix_f64("X", Order::C)?)?,
            start: array(job.matrix_f64("start", Order::C)?)?,
            tolerance: job.f64("tol")?,
            max_iterations: job.u64("max_iterations")?,
        };
        if centres.tolerance > 0.0 {
            return Ok(centres);
        }
        Err(Error::invalid("tol is 0, but linfa only stops at a shift below the tolerance; give more than 0"))
    }

    fn fit(&self) -> Result<KMeans<f64, L2Dist>> {
        let variance = self.x.var_axis(Axis(0), 0.0).mean().unwrap_or_default();
        let params =
            KMeans::params(self.start.nrows()).init_method(KMeansInit::Precomputed(self.start.clone()));
        // linfa compares the shift itself, not its square.
        let params = params.n_runs(1).tolerance((self.tolerance * variance).sqrt());
        Ok(params.max_n_iterations(self.max_iterations).fit(&DatasetBase::new(self.x.view(), ()))?)
    }
}

/// Find the centres from scratch and label every row, because the reference's fit includes the labels and linfa's does not.
fn kmeans_train(job: &Job) -> Result<impl Implementation + use<>> {
    let centres = Centres::read(job)?;
    let rows = centres.x.nrows();
    let run = move || {
        let fit = centres.fit()?;
        let label = fit.predict(&centres.x);
        Ok((fit, label))
    };
    let outputs = move |(fit, label): &(KMeans<f64, L2Dist>, Array1<usize>)| {
        let centroid = fit.centroids();
        Ok(Outputs::new()
            .array("label", integers(label)?)
            .array("centroid", Array::shaped(centroid.iter().copied().collect::<Vec<_>>(), centroid.shape())?)
            // linfa's inertia is the mean over the rows.
            .array("inertia", vec![fit.inertia() * rows as f64]))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}

/// Assign the held-out rows to centres that are found while preparing.
fn kmeans_predict(job: &Job) -> Result<impl Implementation + use<>> {
    let fit = Centres::read(job)?.fit()?;
    let x = array(job.matrix_f64("X_test", Order::C)?)?;
    let rows = x.nrows();
    let outputs = |label: &Array1<usize>| Ok(Outputs::new().array("label", integers(label)?));
    Ok(Call::new(move || Ok(fit.predict(&x)), outputs).work("samples", rows))
}

fn integers(labels: &Array1<usize>) -> Result<Vec<i64>> {
    Ok(labels.iter().map(|&label| i64::try_from(label)).collect::<Result<_, _>>()?)
}

/// Run DBSCAN from scratch.
fn dbscan_train(job: &Job) -> Result<impl Implementation + use<>> {
    let x = array(job.matrix_f64("X", Order::C)?)?;
    let (eps, min_samples) = (job.f64("eps")?, job.usize("min_samples")?);
    let rows = x.nrows();
    let outputs = |label: &Array1<Option<usize>>| {
        let label: Result<Vec<i64>, _> =
            label.iter().map(|label| label.map_or(Ok(-1), i64::try_from)).collect();
        Ok(Outputs::new().array("label", label?))
    };
    Ok(Call::new(move || dense(&x, eps, min_samples), outputs).work("samples", rows))
}

fn dense(x: &Array2<f64>, eps: f64, min_samples: usize) -> Result<Array1<Option<usize>>> {
    // The only index of linfa that counts a neighbour at exactly eps.
    let params = Dbscan::params_with(min_samples, L2Dist, CommonNearestNeighbour::KdTree);
    Ok(params.tolerance(eps).transform(x)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f64]) -> Array2<f64> {
        Array2::from_shape_vec((values.len(), 1), values.to_vec()).unwrap()
    }

    #[test]
    fn centres_reach_the_means_of_their_members_in_the_initial_order() {
        let centres = Centres {
            x: line(&[0.0, 1.0, 10.0, 11.0]),
            start: line(&[9.0, 2.0]),
            tolerance: 1e-12,
            max_iterations: 300,
        };
        let fit = centres.fit().unwrap();
        assert_eq!(vec![1, 1, 0, 0], fit.predict(&centres.x).to_vec());
        assert!((fit.centroids()[[0, 0]] - 10.5).abs() < 1e-5);
        assert!((fit.inertia() * 4.0 - 1.0).abs() < 1e-5);
    }

    #[test]
    fn the_tolerance_applies_to_the_squared_shift_divided_by_the_variance() {
        // One centre and the rows 0 and 2, whose variance is 1. From 4, m_k-means moves to (4 + 0 + 2) / 3 = 2: a shift of 2,
        // whose square is below 5 but not below 3, so it stops there or continues to (2 + 0 + 2) / 3.
        let stops_at = |tolerance| {
            let (x, start) = (line(&[0.0, 2.0]), line(&[4.0]));
            Centres { x, start, tolerance, max_iterations: 2 }.fit().unwrap().centroids()[[0, 0]]
        };
        assert_eq!(2.0, stops_at(5.0));
        assert_eq!(4.0 / 3.0, stops_at(3.0));
    }

    #[test]
    fn a_neighbour_at_exactly_eps_counts_and_a_row_counts_itself() {
        let label = dense(&line(&[0.0, 0.5, 1.0, 9.0]), 0.5, 3).unwrap();
        assert_eq!(vec![Some(0), Some(0), Some(0), None], label.to_vec());
    }
}
