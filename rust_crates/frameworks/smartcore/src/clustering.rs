//! DBSCAN through smartcore's public interface.
//!
//! smartcore's k-means takes no initial centres, and its agglomerative clustering has one linkage and returns no heights; see
//! `tests/known_differences.rs`.

use duet_worker::{Call, Error, Implementation, Job, Order, Outputs, Registry, Result};
use smartcore::cluster::dbscan::{DBSCAN, DBSCANParameters};
use smartcore::linalg::basic::matrix::DenseMatrix;
use smartcore::metrics::distance::euclidian::Euclidian;

use crate::dense;

/// Register the clustering algorithms of smartcore that can be compared.
pub fn register(registry: &mut Registry) {
    registry.add("clustering", "dbscan", "train", dbscan_train);
}

type Fit = DBSCAN<f64, i64, DenseMatrix<f64>, Vec<i64>, Euclidian<f64>>;

/// Run DBSCAN from scratch.
fn dbscan_train(job: &Job) -> Result<impl Implementation + use<>> {
    let x = job.matrix_f64("X", Order::C)?;
    let (eps, min_samples, rows) = (job.f64("eps")?, job.usize("min_samples")?, x.rows);
    let x = dense(x)?;
    let outputs = |fit: &Fit| Ok(Outputs::new().array("label", labels(fit)?));
    Ok(Call::new(move || fit(&x, eps, min_samples), outputs).work("samples", rows))
}

fn fit(x: &DenseMatrix<f64>, eps: f64, min_samples: usize) -> Result<Fit> {
    Ok(DBSCAN::fit(x, DBSCANParameters::default().with_eps(eps).with_min_samples(min_samples))?)
}

/// Return the labels of the fit itself; `predict` lets neighbours vote, which can give other labels.
fn labels(fit: &Fit) -> Result<Vec<i64>> {
    let mut fields = serde_json::to_value(fit)?;
    let labels = fields.get_mut("cluster_labels").map(serde_json::Value::take);
    let labels = labels.ok_or_else(|| {
        Error::failed("smartcore's DBSCAN no longer has the field cluster_labels; see its fields")
    })?;
    Ok(serde_json::from_value(labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_at_exactly_eps_counts_and_a_row_counts_itself() {
        let x = DenseMatrix::new(4, 1, vec![0.0, 0.5, 1.0, 9.0], false).unwrap();
        assert_eq!(vec![0, 0, 0, -1], labels(&fit(&x, 0.5, 3).unwrap()).unwrap());
    }
}
