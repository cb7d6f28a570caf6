//! Agglomerative clustering of points by Euclidean distance, without connectivity constraints.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use duet_worker::{Error, Job, Matrix, Result};
use kodama::Method;
use rayon::prelude::*;

use super::forest::Forest;
use crate::vector::Vectors;

/// Number of columns that one pass over a row of distances adds.
const COLUMNS: usize = 8;

/// The distance between two clusters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Linkage {
    /// The distance of their nearest points.
    Single,
    /// A function of the distances of all their points.
    All(Method),
}

impl Linkage {
    pub fn read(job: &Job) -> Result<Self> {
        match job.str("linkage")? {
            "single" => Ok(Self::Single),
            "complete" => Ok(Self::All(Method::Complete)),
            "average" => Ok(Self::All(Method::Average)),
            "ward" => Ok(Self::All(Method::Ward)),
            other => Err(Error::unsupported(format!(
                "linkage {other:?} is not implemented here; give single, complete, average or ward"
            ))),
        }
    }
}

/// A clustering: labels, numbered by the first row of each cluster, and the ascending heights at which clusters merged.
pub(super) struct Fit {
    pub labels: Vec<i64>,
    pub heights: Vec<f64>,
}

/// Merge the rows of `x` into one cluster, and label them by the last `clusters` clusters.
pub(super) fn fit(
    x: &Matrix<f64>,
    linkage: Linkage,
    clusters: usize,
    threads: usize,
    vectors: Vectors,
) -> Fit {
    let columns = transposed(x);
    let (heights, merged) = match linkage {
        Linkage::Single => single(&columns, x.rows, vectors),
        Linkage::All(method) => all(&columns, x.rows, method, threads, vectors),
    };
    let mut forest = Forest::new(x.rows);
    for (a, b) in &merged[..x.rows - clusters] {
        forest.join(*a, *b);
    }
    let mut numbers = vec![-1; x.rows];
    let mut next = 0;
    let labels = (0..x.rows).map(|row| {
        let root = forest.root(row);
        if numbers[root] < 0 {
            numbers[root] = next;
            next += 1;
        }
        numbers[root]
    });
    Fit { labels: labels.collect(), heights }
}

fn transposed(x: &Matrix<f64>) -> Vec<f64> {
    let column = |column: usize| x.data[column..].iter().step_by(x.columns).copied();
    (0..x.columns).flat_map(column).collect()
}

/// The height of each merge, and one row of either side.
type Merges = (Vec<f64>, Vec<(usize, usize)>);

fn all(columns: &[f64], rows: usize, method: Method, threads: usize, vectors: Vectors) -> Merges {
    let mut distances = distances(columns, rows, threads, vectors);
    let dendrogram = kodama::linkage(&mut distances, rows, method);
    // One row of every cluster; merged clusters are numbered from `rows` on.
    let mut members: Vec<usize> = (0..rows).collect();
    let mut merged = Vec::with_capacity(rows - 1);
    for step in dendrogram.steps() {
        merged.push((members[step.cluster1], members[step.cluster2]));
        members.push(members[step.cluster1]);
    }
    (dendrogram.steps().iter().map(|step| step.dissimilarity).collect(), merged)
}

/// Return the distances of each row from the rows after it.
fn distances(columns: &[f64], rows: usize, threads: usize, vectors: Vectors) -> Vec<f64> {
    let mut result = vec![0.0; rows * (rows - 1) / 2];
    let mut parts = Vec::with_capacity(rows);
    let mut rest = result.as_mut_slice();
    for row in 0..rows {
        let (part, after) = rest.split_at_mut(rows - row - 1);
        parts.push((row, part));
        rest = after;
    }
    let fill = |(row, part): (usize, &mut [f64])| {
        vectors.run(
            #[inline(always)]
            || {
                squared_distances(columns, rows, row, row + 1, part);
                for value in part {
                    *value = value.sqrt();
                }
            },
        );
    };
    if threads == 1 {
        parts.into_iter().for_each(fill);
    } else {
        parts.into_par_iter().for_each(fill);
    }
    result
}

/// Write the squared distances of `row` from the rows starting at `from`.
#[inline(always)]
fn squared_distances(columns: &[f64], rows: usize, row: usize, from: usize, squared: &mut [f64]) {
    squared.fill(0.0);
    let mut groups = columns.chunks_exact(rows * COLUMNS);
    for group in groups.by_ref() {
        let columns: [&[f64]; COLUMNS] =
            std::array::from_fn(|c| &group[c * rows + from..c * rows + from + squared.len()]);
        let values: [f64; COLUMNS] = std::array::from_fn(|c| group[c * rows + row]);
        for (at, sum) in squared.iter_mut().enumerate() {
            let mut total = *sum;
            for c in 0..COLUMNS {
                let gap = columns[c][at] - values[c];
                total += gap * gap;
            }
            *sum = total;
        }
    }
    for column in groups.remainder().chunks_exact(rows) {
        let value = column[row];
        for (sum, other) in squared.iter_mut().zip(&column[from..]) {
            *sum += (other - value) * (other - value);
        }
    }
}

/// Merge along the minimum spanning tree (Prim 1957), computing distances when they are needed.
fn single(columns: &[f64], rows: usize, vectors: Vectors) -> Merges {
    let mut edges = vectors.run(
        #[inline(always)]
        || spanning_tree(columns, rows),
    );
    edges.sort_by(|a, b| a.0.total_cmp(&b.0));
    edges.into_iter().map(|(squared, a, b)| (squared.sqrt(), (a, b))).unzip()
}

/// Return the edges of the minimum spanning tree: the squared length and both rows of each.
#[inline(always)]
fn spanning_tree(columns: &[f64], rows: usize) -> Vec<(f64, usize, usize)> {
    // Keep the rows outside the tree and their coordinates in front, so that loops over them are contiguous.
    let mut columns = columns.to_vec();
    let mut outside: Vec<usize> = (0..rows).collect();
    let mut nearest = vec![f64::INFINITY; rows];
    let mut through = vec![0; rows];
    let mut squared = vec![0.0; rows];
    let mut edges = Vec::with_capacity(rows.saturating_sub(1));
    let mut next = 0;
    for left in (1..rows).rev() {
        // The row at `next` enters the tree: swap it with the last row outside.
        let entered = outside[next];
        for column in columns.chunks_exact_mut(rows) {
            column.swap(next, left);
        }
        outside.swap(next, left);
        nearest.swap(next, left);
        through.swap(next, left);
        squared_distances(&columns, rows, left, 0, &mut squared[..left]);
        for ((near, through), square) in nearest[..left].iter_mut().zip(&mut through[..left]).zip(&squared) {
            let closer = square < near;
            *near = if closer { *square } else { *near };
            *through = if closer { entered } else { *through };
        }
        next = smallest(&nearest[..left]);
        edges.push((nearest[next], through[next], outside[next]));
    }
    edges
}

/// Return the index of the smallest value, the first of equals.
#[inline(always)]
fn smallest(values: &[f64]) -> usize {
    const LANES: usize = 16;
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lowest = [f64::INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lowest[lane] = if chunk[lane] < lowest[lane] { chunk[lane] } else { lowest[lane] };
        }
    }
    let least = lowest.iter().chain(rest).fold(f64::INFINITY, |least, value| least.min(*value));
    values.iter().position(|value| *value == least).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::Order;

    const ALL: [Linkage; 4] = [
        Linkage::Single,
        Linkage::All(Method::Complete),
        Linkage::All(Method::Average),
        Linkage::All(Method::Ward),
    ];

    fn line(data: Vec<f64>) -> Matrix<f64> {
        Matrix { rows: data.len(), columns: 1, order: Order::C, data }
    }

    fn fitted(x: &Matrix<f64>, linkage: Linkage, clusters: usize, threads: usize) -> Fit {
        fit(x, linkage, clusters, threads, Vectors::detect())
    }

    #[test]
    fn heights_are_the_distances_of_each_linkage() {
        let x = line(vec![0.0, 1.0, 5.0]);
        let heights = ALL.map(|linkage| fitted(&x, linkage, 1, 1).heights);
        // Ward: √(2·2·1 / (2 + 1)) times the distance of the centres, 4.5.
        let ward = (4.0_f64 / 3.0).sqrt() * 4.5;
        for (expected, found) in [4.0, 5.0, 4.5, ward].into_iter().zip(heights) {
            assert!(
                (found[0] - 1.0).abs() < 1e-12 && (found[1] - expected).abs() < 1e-12,
                "{expected} {found:?}"
            );
        }
    }

    #[test]
    fn labels_have_the_requested_number_of_clusters() {
        let x = line(vec![0.0, 0.1, 10.0, 10.1, 30.0]);
        for linkage in ALL {
            assert_eq!(vec![0, 0, 1, 1, 2], fitted(&x, linkage, 3, 1).labels);
            assert_eq!(vec![0, 0, 0, 0, 1], fitted(&x, linkage, 2, 1).labels);
            assert_eq!(vec![0; 5], fitted(&x, linkage, 1, 1).labels);
        }
    }

    #[test]
    fn single_linkage_agrees_with_the_full_distance_matrix() {
        let data: Vec<f64> = (0..57 * 9).map(|i| (f64::from(i * i + i) * 0.618).sin()).collect();
        let x = Matrix { rows: 57, columns: 9, order: Order::C, data };
        let (heights, _) = all(&transposed(&x), 57, Method::Single, 1, Vectors::detect());
        let found = fitted(&x, Linkage::Single, 4, 1).heights;
        assert!(heights.iter().zip(&found).all(|(a, b)| (a - b).abs() < 1e-12), "{heights:?} {found:?}");
        assert!(found.is_sorted());
    }

    #[test]
    fn two_threads_give_the_same_result() {
        let x = line((0..200).map(|i| (f64::from(i) * 1.7).sin()).collect());
        for linkage in ALL {
            let (one, two) = (fitted(&x, linkage, 5, 1), fitted(&x, linkage, 5, 2));
            assert_eq!((one.labels, one.heights), (two.labels, two.heights));
        }
    }

    #[test]
    fn one_row_is_one_cluster() {
        for linkage in ALL {
            let fit = fitted(&line(vec![3.0]), linkage, 1, 1);
            assert_eq!((vec![0], Vec::<f64>::new()), (fit.labels, fit.heights));
        }
    }
}
