//! Clustering: jobs and outputs of the algorithms in `kmeans`, `dbscan` and `agglomerative`.

mod agglomerative;
mod blocks;
mod dbscan;
mod forest;
mod kmeans;

use duet_worker::{Array, Call, Error, Implementation, Job, Matrix, Order, Outputs, Registry, Result};

use crate::vector::Vectors;
use agglomerative::Linkage;
use kmeans::{KMeans, Stop};

/// Register every algorithm.
pub fn register(registry: &mut Registry) {
    registry.add("clustering", "kmeans", "train", train_kmeans);
    registry.add("clustering", "kmeans", "predict", predict_kmeans);
    registry.add("clustering", "dbscan", "train", train_dbscan);
    registry.add("clustering", "agglomerative", "train", train_agglomerative);
}

/// Read the points in row-major order.
fn points(job: &Job) -> Result<Matrix<f64>> {
    let x = job.matrix_f64("X", Order::C)?;
    if x.rows == 0 || x.columns == 0 {
        let what = format!("X is {} by {}; give at least one row and one column", x.rows, x.columns);
        return Err(Error::invalid(what));
    }
    Ok(x)
}

/// Read the points, the initial centres and the stopping rule.
fn kmeans(job: &Job) -> Result<(Matrix<f64>, Matrix<f64>, Stop)> {
    let (x, start) = (points(job)?, job.matrix_f64("start", Order::C)?);
    if start.columns != x.columns || start.rows == 0 || start.rows > x.rows {
        let (k, p, n) = (start.rows, start.columns, x.rows);
        let what = format!(
            "start is {k} by {p}, X is {n} by {}; give 1 to {n} centres with the columns of X",
            x.columns
        );
        return Err(Error::invalid(what));
    }
    Ok((x, start, Stop { tolerance: job.f64("tol")?, max_iterations: job.usize("max_iterations")? }))
}

fn train_kmeans(job: &Job) -> Result<impl Implementation + use<>> {
    let (x, start, stop) = kmeans(job)?;
    let (rows, columns, threads) = (x.rows, x.columns, job.threads());
    let vectors = Vectors::detect();
    let run = move || Ok(kmeans::fit(&x, &start, stop, threads, vectors));
    let outputs = move |fit: &KMeans| {
        let clusters = fit.centroids.len() / columns;
        Ok(Outputs::new()
            .array("label", labels(&fit.labels))
            .array("centroid", Array::shaped(fit.centroids.clone(), &[clusters, columns])?)
            .array("inertia", vec![fit.inertia])
            .iterations(fit.iterations as u64)
            .converged(fit.converged))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}

fn predict_kmeans(job: &Job) -> Result<impl Implementation + use<>> {
    let (x, start, stop) = kmeans(job)?;
    let (threads, vectors) = (job.threads(), Vectors::detect());
    let fit = kmeans::fit(&x, &start, stop, threads, vectors);
    let new = job.matrix_f64("X_test", Order::C)?;
    if new.columns != x.columns {
        return Err(Error::invalid("X_test and X have different numbers of columns; write both again"));
    }
    let rows = new.rows;
    let run = move || Ok(kmeans::predict(&new, &fit.centroids, threads, vectors));
    let outputs = |found: &Vec<u32>| Ok(Outputs::new().array("label", labels(found)));
    Ok(Call::new(run, outputs).work("samples", rows))
}

fn labels(found: &[u32]) -> Vec<i64> {
    found.iter().map(|&label| i64::from(label)).collect()
}

fn train_dbscan(job: &Job) -> Result<impl Implementation + use<>> {
    let x = points(job)?;
    let (eps, least, threads) = (job.f64("eps")?, job.usize("min_samples")?, job.threads());
    if eps.is_nan() || eps <= 0.0 || least == 0 {
        let what = format!("eps is {eps}, min_samples {least}; give eps above 0 and at least 1 sample");
        return Err(Error::invalid(what));
    }
    let (rows, vectors) = (x.rows, Vectors::detect());
    let outputs = |found: &Vec<i64>| Ok(Outputs::new().array("label", found.clone()));
    Ok(Call::new(move || Ok(dbscan::fit(&x, eps, least, threads, vectors)), outputs).work("samples", rows))
}

fn train_agglomerative(job: &Job) -> Result<impl Implementation + use<>> {
    let x = points(job)?;
    let (linkage, clusters) = (Linkage::read(job)?, job.usize("clusters")?);
    if clusters == 0 || clusters > x.rows {
        let what = format!("clusters is {clusters}; give 1 to {}, the number of rows", x.rows);
        return Err(Error::invalid(what));
    }
    let (rows, threads, vectors) = (x.rows, job.threads(), Vectors::detect());
    let run = move || Ok(agglomerative::fit(&x, linkage, clusters, threads, vectors));
    let outputs = |fit: &agglomerative::Fit| {
        Ok(Outputs::new().array("label", fit.labels.clone()).array("height", fit.heights.clone()))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}
