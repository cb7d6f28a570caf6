//! Lloyd's k-means from given centres, with scikit-learn's stopping rules.
//!
//! The initial centres are part of the job, so that all members start from the same ones.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use duet_worker::Matrix;
use rayon::prelude::*;

use crate::vector::Vectors;

/// Number of rows whose scores are computed together, so that each load of a centre serves several rows.
const ROWS: usize = 4;

/// The largest number of centres that are scored side by side.
const WIDEST: usize = 16;

/// The stopping rule: stop when the summed squares of the centres' moves are at most `tolerance` times the mean variance of the
/// columns.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub tolerance: f64,
    pub max_iterations: usize,
}

/// A clustering.
pub(super) struct KMeans {
    pub labels: Vec<u32>,
    /// In row-major order.
    pub centroids: Vec<f64>,
    pub inertia: f64,
    pub iterations: usize,
    pub converged: bool,
}

/// Cluster the rows of `x`; the rows of `start` are the initial centres.
pub(super) fn fit(
    x: &Matrix<f64>,
    start: &Matrix<f64>,
    stop: Stop,
    threads: usize,
    vectors: Vectors,
) -> KMeans {
    let columns = x.columns;
    // Centring the data reduces rounding errors of squared distances; scikit-learn does the same.
    let means = means(x);
    let points = shifted(&x.data, &means, -1.0);
    let mut centroids = shifted(&start.data, &means, -1.0);
    let tolerance =
        stop.tolerance * points.iter().map(|value| value * value).sum::<f64>() / points.len() as f64;
    let mut labels = vec![u32::MAX; x.rows];
    let (mut iterations, mut converged, mut settled) = (0, false, false);
    while !converged && iterations < stop.max_iterations {
        iterations += 1;
        let Sums { mut totals, mut counts, changed } =
            assign(&points, &centroids, &mut labels, threads, vectors);
        relocate(&points, &centroids, &labels, &mut totals, &mut counts, columns);
        for (centroid, &count) in totals.chunks_exact_mut(columns).zip(&counts) {
            let share = if count > 0 { 1.0 / count as f64 } else { 1.0 };
            for value in centroid {
                *value *= share;
            }
        }
        let moved: f64 = totals.iter().zip(&centroids).map(|(new, old)| (new - old) * (new - old)).sum();
        centroids = totals;
        settled = !changed;
        converged = settled || moved <= tolerance;
    }
    if !settled {
        // The centres have moved since the last assignment.
        assign(&points, &centroids, &mut labels, threads, vectors);
    }
    let inertia = inertia(&points, &centroids, &labels, columns);
    KMeans { labels, centroids: shifted(&centroids, &means, 1.0), inertia, iterations, converged }
}

/// Return the nearest of `centroids` for each row of `x`.
pub(super) fn predict(x: &Matrix<f64>, centroids: &[f64], threads: usize, vectors: Vectors) -> Vec<u32> {
    let mut labels = vec![u32::MAX; x.rows];
    let centres = Centres::of(centroids, x.columns);
    let length = x.rows.div_ceil(threads).max(1);
    each_part(&x.data, &mut labels, x.columns, length, |rows, labels| {
        vectors.run(
            #[inline(always)]
            || nearest(rows, &centres, labels),
        );
    });
    labels
}

fn means(x: &Matrix<f64>) -> Vec<f64> {
    let mut sums = vec![0.0; x.columns];
    for row in x.data.chunks_exact(x.columns) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().map(|sum| sum / x.rows as f64).collect()
}

fn shifted(rows: &[f64], by: &[f64], sign: f64) -> Vec<f64> {
    let mut result = Vec::with_capacity(rows.len());
    for row in rows.chunks_exact(by.len()) {
        result.extend(row.iter().zip(by).map(|(value, shift)| value + sign * shift));
    }
    result
}

/// Run `work` on parts of `length` rows and their labels, in parallel if there are several.
fn each_part<T: Send>(
    points: &[f64],
    labels: &mut [u32],
    columns: usize,
    length: usize,
    work: impl Fn(&[f64], &mut [u32]) -> T + Sync,
) -> Vec<T> {
    if length >= labels.len() {
        return vec![work(points, labels)];
    }
    points.par_chunks(length * columns).zip(labels.par_chunks_mut(length)).map(|(p, l)| work(p, l)).collect()
}

/// The result of a pass over the rows: the sum and number of rows of each cluster, and whether any label changed.
struct Sums {
    totals: Vec<f64>,
    counts: Vec<usize>,
    changed: bool,
}

/// Assign each row to its nearest centre, the first of equals, and add up the rows of each cluster.
fn assign(points: &[f64], centroids: &[f64], labels: &mut [u32], threads: usize, vectors: Vectors) -> Sums {
    let columns = points.len() / labels.len();
    let centres = Centres::of(centroids, columns);
    let length = labels.len().div_ceil(threads).max(1);
    let parts = each_part(points, labels, columns, length, |rows, labels| {
        vectors.run(
            #[inline(always)]
            || {
                let changed = nearest(rows, &centres, labels);
                let (totals, counts) = add_up(rows, labels, columns, centroids.len() / columns);
                Sums { totals, counts, changed }
            },
        )
    });
    parts
        .into_iter()
        .reduce(|mut all, part| {
            all.totals.iter_mut().zip(&part.totals).for_each(|(sum, value)| *sum += value);
            all.counts.iter_mut().zip(&part.counts).for_each(|(sum, value)| *sum += value);
            all.changed |= part.changed;
            all
        })
        .unwrap_or_else(|| unreachable!("there is at least one row"))
}

#[inline(always)]
fn add_up(rows: &[f64], labels: &[u32], columns: usize, clusters: usize) -> (Vec<f64>, Vec<usize>) {
    let (mut totals, mut counts) = (vec![0.0; clusters * columns], vec![0; clusters]);
    for (row, &label) in rows.chunks_exact(columns).zip(labels) {
        let label = label as usize;
        counts[label] += 1;
        let total = &mut totals[label * columns..(label + 1) * columns];
        total.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    (totals, counts)
}

/// Centres in the layout for scoring: groups of `width` centres side by side, multiplied by −2.
struct Centres {
    columns: usize,
    /// Number of lanes of a group: 4, 8, 12 or 16.
    width: usize,
    /// Ordered by group, column and centre; the padding of the last group is never the nearest.
    factors: Vec<f64>,
    /// ‖c‖², ordered by group.
    squares: Vec<f64>,
}

impl Centres {
    fn of(centroids: &[f64], columns: usize) -> Self {
        let clusters = centroids.len() / columns;
        let groups = clusters.div_ceil(WIDEST);
        let width = clusters.div_ceil(groups).next_multiple_of(4);
        let mut factors = vec![0.0; groups * columns * width];
        let mut squares = vec![f64::INFINITY; groups * width];
        for (index, centroid) in centroids.chunks_exact(columns).enumerate() {
            let (group, lane) = (index / width, index % width);
            for (column, value) in centroid.iter().enumerate() {
                factors[(group * columns + column) * width + lane] = -2.0 * value;
            }
            squares[group * width + lane] = centroid.iter().map(|value| value * value).sum();
        }
        Self { columns, width, factors, squares }
    }
}

/// Label each row with its nearest centre; return whether any label changed.
#[inline(always)]
fn nearest(rows: &[f64], centres: &Centres, labels: &mut [u32]) -> bool {
    match centres.width {
        4 => nearest_of::<4>(rows, centres, labels),
        8 => nearest_of::<8>(rows, centres, labels),
        12 => nearest_of::<12>(rows, centres, labels),
        _ => nearest_of::<16>(rows, centres, labels),
    }
}

#[inline(always)]
fn nearest_of<const WIDTH: usize>(rows: &[f64], centres: &Centres, labels: &mut [u32]) -> bool {
    let columns = centres.columns;
    let mut changed = false;
    for (rows, labels) in rows.chunks(ROWS * columns).zip(labels.chunks_mut(ROWS)) {
        let (mut best, mut found) = ([f64::INFINITY; ROWS], [0_u32; ROWS]);
        let groups =
            centres.factors.chunks_exact(columns * WIDTH).zip(centres.squares.as_chunks::<WIDTH>().0);
        for (group, (factors, squares)) in groups.enumerate() {
            let mut scores = [*squares; ROWS];
            if rows.len() == ROWS * columns {
                score::<WIDTH, ROWS>(rows, factors, columns, &mut scores);
            } else {
                for (row, scores) in rows.chunks_exact(columns).zip(&mut scores) {
                    score::<WIDTH, 1>(
                        row,
                        factors,
                        columns,
                        std::slice::from_mut(scores).try_into().unwrap(),
                    );
                }
            }
            for (scores, (best, found)) in scores.iter().zip(best.iter_mut().zip(&mut found)) {
                for (lane, score) in scores.iter().enumerate() {
                    if score < best {
                        *best = *score;
                        *found = as_label(group * WIDTH + lane);
                    }
                }
            }
        }
        for (label, found) in labels.iter_mut().zip(found) {
            changed |= *label != found;
            *label = found;
        }
    }
    changed
}

#[inline(always)]
fn as_label(cluster: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "there are fewer clusters than rows that fit in memory"
    )]
    let label = cluster as u32;
    label
}

/// Add −2·x·c to the scores of `N` rows for `WIDTH` centres; together with ‖c‖² that is the squared distance minus ‖x‖².
#[inline(always)]
fn score<const WIDTH: usize, const N: usize>(
    rows: &[f64],
    factors: &[f64],
    columns: usize,
    scores: &mut [[f64; WIDTH]; N],
) {
    let mut sums = *scores;
    for (column, factors) in factors.as_chunks::<WIDTH>().0.iter().enumerate() {
        for row in 0..N {
            let value = rows[row * columns + column];
            for lane in 0..WIDTH {
                sums[row][lane] += value * factors[lane];
            }
        }
    }
    *scores = sums;
}

/// Give each empty cluster the row that is farthest from its own centre, as scikit-learn does.
fn relocate(
    points: &[f64],
    centroids: &[f64],
    labels: &[u32],
    totals: &mut [f64],
    counts: &mut [usize],
    columns: usize,
) {
    let empty: Vec<usize> = (0..counts.len()).filter(|&cluster| counts[cluster] == 0).collect();
    if empty.is_empty() {
        return;
    }
    let distances: Vec<f64> = labels
        .iter()
        .enumerate()
        .map(|(row, &label)| distance(points, centroids, row, label, columns))
        .collect();
    let mut farthest: Vec<usize> = (0..labels.len()).collect();
    farthest.sort_by(|&a, &b| distances[b].total_cmp(&distances[a]));
    if distances[farthest[0]] == 0.0 {
        // There are fewer distinct rows than clusters, so there is nothing to move.
        return;
    }
    for (cluster, row) in empty.into_iter().zip(farthest) {
        let old = labels[row] as usize;
        for column in 0..columns {
            let value = points[row * columns + column];
            totals[old * columns + column] -= value;
            totals[cluster * columns + column] = value;
        }
        counts[old] -= 1;
        counts[cluster] = 1;
    }
}

fn distance(points: &[f64], centroids: &[f64], row: usize, label: u32, columns: usize) -> f64 {
    let label = label as usize;
    let (point, centre) =
        (&points[row * columns..(row + 1) * columns], &centroids[label * columns..(label + 1) * columns]);
    point.iter().zip(centre).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn inertia(points: &[f64], centroids: &[f64], labels: &[u32], columns: usize) -> f64 {
    labels.iter().enumerate().map(|(row, &label)| distance(points, centroids, row, label, columns)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::Order;

    fn matrix(rows: usize, columns: usize, data: Vec<f64>) -> Matrix<f64> {
        Matrix { rows, columns, order: Order::C, data }
    }

    /// Return numbers between 0 and 1 that look random.
    fn noise(count: usize) -> Vec<f64> {
        (0..count).map(|i| ((i * i + i) as f64 * 0.618).sin().abs()).collect()
    }

    const STOP: Stop = Stop { tolerance: 0.0, max_iterations: 100 };

    #[test]
    fn two_pairs_of_points_are_two_clusters() {
        let x = matrix(4, 1, vec![0.0, 1.0, 10.0, 11.0]);
        let fit = fit(&x, &matrix(2, 1, vec![0.0, 1.0]), STOP, 1, Vectors::detect());
        assert_eq!((vec![0, 0, 1, 1], vec![0.5, 10.5]), (fit.labels, fit.centroids));
        assert_eq!((1.0, true), (fit.inertia, fit.converged));
    }

    #[test]
    fn every_row_has_the_nearest_centre_and_every_centre_is_the_mean_of_its_rows() {
        for (clusters, columns) in [(3, 2), (7, 5), (16, 3), (33, 4)] {
            let x = matrix(203, columns, noise(203 * columns));
            let start = matrix(clusters, columns, x.data[..clusters * columns].to_vec());
            let fit = fit(&x, &start, STOP, 2, Vectors::detect());
            assert!(fit.converged);
            assert_eq!(fit.labels, predict(&x, &fit.centroids, 1, Vectors::detect()));
            for cluster in 0..clusters {
                let rows: Vec<usize> = (0..203).filter(|&row| fit.labels[row] as usize == cluster).collect();
                for column in 0..columns {
                    let mean = rows.iter().map(|row| x.data[row * columns + column]).sum::<f64>()
                        / rows.len() as f64;
                    assert!((mean - fit.centroids[cluster * columns + column]).abs() < 1e-12);
                }
                let own = |row: usize, c: usize| distance(&x.data, &fit.centroids, row, as_label(c), columns);
                assert!(
                    rows.iter().all(|&row| (0..clusters).all(|c| own(row, cluster) <= own(row, c) + 1e-12))
                );
            }
        }
    }

    #[test]
    fn an_empty_cluster_takes_the_farthest_row() {
        let x = matrix(4, 1, vec![0.0, 1.0, 2.0, 30.0]);
        let fit = fit(&x, &matrix(2, 1, vec![1.0, 500.0]), STOP, 1, Vectors::detect());
        assert_eq!((vec![0, 0, 0, 1], vec![1.0, 30.0]), (fit.labels, fit.centroids));
    }

    #[test]
    fn equal_rows_leave_clusters_empty_and_converge() {
        let x = matrix(5, 2, vec![1.0; 10]);
        let fit = fit(&x, &matrix(2, 2, vec![1.0, 1.0, 3.0, 3.0]), STOP, 1, Vectors::detect());
        assert_eq!((vec![0; 5], 0.0, true), (fit.labels, fit.inertia, fit.converged));
    }

    #[test]
    fn too_few_iterations_are_reported_and_labels_still_match_the_centres() {
        let x = matrix(100, 2, noise(200));
        let start = matrix(4, 2, x.data[..8].to_vec());
        let stop = Stop { tolerance: 0.0, max_iterations: 1 };
        let fit = fit(&x, &start, stop, 1, Vectors::detect());
        assert_eq!((1, false), (fit.iterations, fit.converged));
        assert_eq!(fit.labels, predict(&x, &fit.centroids, 1, Vectors::detect()));
    }
}
