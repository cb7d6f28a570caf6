//! DBSCAN: a cluster is a set of points connected through dense points. `blocks` finds the neighbours.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use duet_worker::Matrix;
use rayon::prelude::*;

use super::blocks::{Blocks, MOST};
use super::forest::Forest;
use crate::vector::Vectors;

const NOISE: i64 = -1;

/// Label the rows of `x`.
///
/// A point with at least `least` points within `eps`, including itself, is dense. Dense points within `eps` of each other share
/// a cluster. Other points join the first cluster with a dense point within `eps`, or are noise (−1). Clusters are numbered by
/// their first dense row.
pub(super) fn fit(x: &Matrix<f64>, eps: f64, least: usize, threads: usize, vectors: Vectors) -> Vec<i64> {
    let search = Search { blocks: Blocks::of(x, eps), eps, vectors };
    let dense = search.dense(least, threads);
    let clusters = search.clusters(&dense);
    search.labels(&dense, clusters, x.rows, threads)
}

struct Search {
    blocks: Blocks,
    eps: f64,
    vectors: Vectors,
}

impl Search {
    /// Run `work` for every block, in parallel if there are several threads.
    fn each<T: Send>(&self, threads: usize, work: impl Fn(usize) -> Vec<T> + Sync + Send) -> Vec<T> {
        let numbers = 0..self.blocks.len();
        if threads == 1 {
            return numbers.flat_map(work).collect();
        }
        numbers.into_par_iter().flat_map_iter(work).collect()
    }

    /// Return whether each point is dense, in the order of the blocks.
    fn dense(&self, least: usize, threads: usize) -> Vec<bool> {
        self.each(threads, |block| {
            self.vectors.run(
                #[inline(always)]
                || self.dense_in(block, least),
            )
        })
    }

    #[inline(always)]
    fn dense_in(&self, block: usize, least: usize) -> Vec<bool> {
        let (limit, length) = (self.eps * self.eps, self.blocks.points(block).len());
        let (mut counts, mut squared) = ([0; MOST], [0.0; MOST]);
        let mut count = |other: usize| {
            let others = self.blocks.points(other).len();
            for (offset, count) in counts[..length].iter_mut().enumerate() {
                if *count < least {
                    self.blocks.distances(block, offset, other, &mut squared);
                    *count += squared[..others].iter().filter(|&&square| square <= limit).count();
                }
            }
            // Stop when every point has enough neighbours.
            counts[..length].iter().any(|&count| count < least)
        };
        // Most neighbours are in the same block.
        if count(block) {
            self.blocks.near(block, self.eps, &mut |other| other == block || count(other));
        }
        counts[..length].iter().map(|&count| count >= least).collect()
    }

    /// Join dense points within `eps` of each other.
    fn clusters(&self, dense: &[bool]) -> Forest {
        let mut forest = Forest::new(dense.len());
        for block in 0..self.blocks.len() {
            self.vectors.run(
                #[inline(always)]
                || self.join_around(block, dense, &mut forest),
            );
        }
        forest
    }

    #[inline(always)]
    fn join_around(&self, block: usize, dense: &[bool], forest: &mut Forest) {
        let limit = self.eps * self.eps;
        let points = self.blocks.points(block);
        let mut squared = [0.0; MOST];
        self.blocks.near(block, self.eps, &mut |other| {
            let others = self.blocks.points(other);
            // Each pair of blocks comes up twice. If the other block is one cluster already, skip points of that cluster.
            let one = if other < block { return true } else { self.only_root(other, dense, forest) };
            for (offset, point) in points.clone().enumerate() {
                if !dense[point] || one == Some(forest.root(point)) {
                    continue;
                }
                self.blocks.distances(block, offset, other, &mut squared);
                for (square, neighbour) in squared.iter().zip(others.clone()) {
                    if *square <= limit && dense[neighbour] {
                        forest.join(point, neighbour);
                    }
                }
            }
            true
        });
    }

    /// Return the root of a block's dense points if all have the same.
    fn only_root(&self, block: usize, dense: &[bool], forest: &mut Forest) -> Option<usize> {
        let mut roots =
            self.blocks.points(block).filter(|&point| dense[point]).map(|point| forest.root(point));
        let first = roots.next()?;
        roots.all(|root| root == first).then_some(first)
    }

    /// Return the label of each row: number the clusters in the order of rows, and give other points the first neighbouring label.
    fn labels(&self, dense: &[bool], mut forest: Forest, rows: usize, threads: usize) -> Vec<i64> {
        let mut points = vec![0; rows];
        for (point, &row) in self.blocks.rows.iter().enumerate() {
            points[row] = point;
        }
        let (mut of_root, mut clusters) = (vec![NOISE; rows], 0);
        let mut found = vec![NOISE; rows];
        for &point in points.iter().filter(|&&point| dense[point]) {
            let root = forest.root(point);
            if of_root[root] == NOISE {
                of_root[root] = clusters;
                clusters += 1;
            }
            found[point] = of_root[root];
        }
        let all = self.each(threads, |block| {
            self.vectors.run(
                #[inline(always)]
                || self.labels_in(block, dense, &found),
            )
        });
        points.into_iter().map(|point| all[point]).collect()
    }

    #[inline(always)]
    fn labels_in(&self, block: usize, dense: &[bool], found: &[i64]) -> Vec<i64> {
        let (limit, points) = (self.eps * self.eps, self.blocks.points(block));
        let mut labels = found[points.clone()].to_vec();
        if points.clone().all(|point| dense[point]) {
            return labels;
        }
        let mut squared = [0.0; MOST];
        self.blocks.near(block, self.eps, &mut |other| {
            for (offset, label) in labels.iter_mut().enumerate() {
                if dense[points.start + offset] {
                    continue;
                }
                self.blocks.distances(block, offset, other, &mut squared);
                for (square, neighbour) in squared.iter().zip(self.blocks.points(other)) {
                    if *square <= limit && dense[neighbour] && (*label == NOISE || found[neighbour] < *label)
                    {
                        *label = found[neighbour];
                    }
                }
            }
            true
        });
        labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duet_worker::Order;

    /// Return points on a coarse lattice, with duplicates and distances of exactly `eps`.
    fn lattice(rows: usize, columns: usize, sides: u64) -> Matrix<f64> {
        let mut state = 1_u64;
        let data = (0..rows * columns).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) % sides) as f64 * 0.5
        });
        Matrix { rows, columns, order: Order::C, data: data.collect() }
    }

    /// Compute DBSCAN by its definition.
    fn naive(x: &Matrix<f64>, eps: f64, least: usize) -> Vec<i64> {
        let row = |i: usize| &x.data[i * x.columns..(i + 1) * x.columns];
        let near = |i: usize, j: usize| {
            row(i).iter().zip(row(j)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() <= eps * eps
        };
        let neighbours: Vec<Vec<usize>> =
            (0..x.rows).map(|i| (0..x.rows).filter(|&j| near(i, j)).collect()).collect();
        let dense = |i: usize| neighbours[i].len() >= least;
        let (mut labels, mut next) = (vec![NOISE; x.rows], 0);
        for seed in 0..x.rows {
            if labels[seed] != NOISE || !dense(seed) {
                continue;
            }
            let mut waiting = vec![seed];
            while let Some(point) = waiting.pop() {
                if labels[point] == NOISE {
                    labels[point] = next;
                    if dense(point) {
                        waiting.extend(&neighbours[point]);
                    }
                }
            }
            next += 1;
        }
        labels
    }

    #[test]
    fn labels_match_the_definition_for_any_number_of_columns_and_threads() {
        for (rows, columns, sides, eps, least) in [
            (60, 1, 40, 0.5, 3),
            (200, 2, 30, 0.5, 4),
            (300, 3, 12, 0.5, 4),
            (300, 5, 6, 1.0, 6),
            (40, 4, 3, 0.5, 1),
        ] {
            let x = lattice(rows, columns, sides);
            for threads in [1, 2] {
                let found = fit(&x, eps, least, threads, Vectors::detect());
                assert_eq!(naive(&x, eps, least), found, "{columns} columns, {threads} threads");
            }
        }
    }

    #[test]
    fn a_point_between_two_clusters_joins_the_first() {
        let data = vec![2.0, 2.1, 2.2, 2.3, -0.1, 0.0, 0.1, 0.2, 1.1];
        let x = Matrix { rows: 9, columns: 1, order: Order::C, data };
        assert_eq!(vec![0, 0, 0, 0, 1, 1, 1, 1, 0], fit(&x, 0.95, 4, 1, Vectors::detect()));
    }

    #[test]
    fn without_dense_points_everything_is_noise() {
        assert_eq!(vec![NOISE; 50], fit(&lattice(50, 6, 50), 0.1, 3, 1, Vectors::detect()));
    }
}
