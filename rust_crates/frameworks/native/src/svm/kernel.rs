//! Rows of a Gaussian kernel, and a cache of the most recently used ones.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use duet_worker::Matrix;
use rayon::prelude::*;

use crate::vector::{Vectors, exp};

/// Number of values of a row that are computed at a time, so that the sums stay in the fastest cache.
const TILE: usize = 512;

/// Number of columns that one pass over a tile adds.
const COLUMNS: usize = 4;

/// The number of products below which a second thread costs more than it saves.
const WORTH_A_THREAD: usize = 200_000;

/// The kernel exp(−γ·‖a − b‖²) between the rows of one table and any point.
pub(super) struct Kernel {
    gamma: f64,
    rows: usize,
    columns: usize,
    /// In column-major order, so that a loop over rows is contiguous.
    transposed: Vec<f64>,
    /// ‖x‖² of each row.
    squares: Vec<f64>,
    threads: usize,
    vectors: Vectors,
}

impl Kernel {
    /// Take the rows `chosen` of `x`, in that order.
    pub fn of(x: &Matrix<f64>, chosen: &[usize], gamma: f64, threads: usize, vectors: Vectors) -> Self {
        let columns = x.columns;
        let row = |row: usize| &x.data[row * columns..(row + 1) * columns];
        let transposed = (0..columns)
            .flat_map(|column| chosen.iter().map(move |&at| x.data[at * columns + column]))
            .collect();
        let squares = chosen.iter().map(|&at| vectors.dot(row(at), row(at))).collect();
        Self { gamma, rows: chosen.len(), columns, transposed, squares, threads, vectors }
    }

    /// Return the number of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Write the kernel of row `at` with all rows.
    pub fn own_row<T: FromF64>(&self, at: usize, row: &mut [T]) {
        let point: Vec<f64> =
            (0..self.columns).map(|column| self.transposed[column * self.rows + at]).collect();
        self.fill(&point, self.squares[at], row);
    }

    /// Write the kernel of `point`, which has as many columns, with all rows.
    pub fn row_of<T: FromF64>(&self, point: &[f64], row: &mut [T]) {
        self.fill(point, self.vectors.dot(point, point), row);
    }

    fn fill<T: FromF64>(&self, point: &[f64], square: f64, row: &mut [T]) {
        let tile = |(number, tile): (usize, &mut [T])| {
            self.vectors.run(
                #[inline(always)]
                || self.fill_tile(point, square, number * TILE, tile),
            );
        };
        if self.threads > 1 && self.transposed.len() >= WORTH_A_THREAD {
            let half = self.rows.div_ceil(self.threads).next_multiple_of(TILE);
            row.par_chunks_mut(half).enumerate().for_each(|(part, row)| {
                let first = part * half / TILE;
                row.chunks_mut(TILE).enumerate().for_each(|(number, each)| tile((first + number, each)));
            });
        } else {
            row.chunks_mut(TILE).enumerate().for_each(tile);
        }
    }

    #[inline(always)]
    fn fill_tile<T: FromF64>(&self, point: &[f64], square: f64, from: usize, tile: &mut [T]) {
        let length = tile.len();
        let mut products = [0.0; TILE];
        let products = &mut products[..length];
        let column = |column: usize| &self.transposed[column * self.rows + from..][..length];
        let (groups, rest) = point.as_chunks::<COLUMNS>();
        for (group, values) in groups.iter().enumerate() {
            let columns: [&[f64]; COLUMNS] = std::array::from_fn(|c| column(group * COLUMNS + c));
            for at in 0..length {
                let mut sum = products[at];
                for c in 0..COLUMNS {
                    sum += values[c] * columns[c][at];
                }
                products[at] = sum;
            }
        }
        for (number, value) in rest.iter().enumerate() {
            let column = column(groups.len() * COLUMNS + number);
            products.iter_mut().zip(column).for_each(|(sum, other)| *sum += value * other);
        }
        let squares = &self.squares[from..][..length];
        for ((kernel, product), other) in tile.iter_mut().zip(products).zip(squares) {
            // Rounding could make a squared distance negative.
            let distance = (square + other - 2.0 * *product).max(0.0);
            *kernel = T::from_f64(exp(-self.gamma * distance));
        }
    }
}

/// A float type that can store a kernel.
pub(super) trait FromF64: Send + Copy {
    fn from_f64(value: f64) -> Self;
}

impl FromF64 for f64 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
}

impl FromF64 for f32 {
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "half the memory, as in LIBSVM")]
        let value = value as Self;
        value
    }
}

/// The most recently used rows of a kernel, as many as fit the memory limit.
pub(super) struct Cache {
    rows: Vec<Vec<f32>>,
    /// The kernel row in each cache place, and when it was last used.
    kept: Vec<(usize, u64)>,
    /// The cache place of each kernel row.
    places: Vec<Option<usize>>,
    most: usize,
    now: u64,
}

impl Cache {
    /// Create a cache of as many rows as fit into `megabytes`, but at least the few that one step needs.
    pub fn new(length: usize, megabytes: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded down; a value out of range saturates"
        )]
        let most = (megabytes * 1e6 / (4.0 * length as f64)) as usize;
        Self { rows: Vec::new(), kept: Vec::new(), places: vec![None; length], most: most.max(4), now: 0 }
    }

    /// Load row `at` and return its place; the three rows loaded before it stay.
    pub fn load(&mut self, kernel: &Kernel, at: usize) -> usize {
        self.now += 1;
        let place = self.places[at].unwrap_or_else(|| {
            let place = self.free_place(kernel.len());
            kernel.own_row(at, &mut self.rows[place]);
            self.places[at] = Some(place);
            place
        });
        self.kept[place] = (at, self.now);
        place
    }

    fn free_place(&mut self, length: usize) -> usize {
        if self.rows.len() < self.most {
            self.rows.push(vec![0.0; length]);
            self.kept.push((0, 0));
            return self.rows.len() - 1;
        }
        let oldest = (0..self.kept.len()).min_by_key(|&place| self.kept[place].1).unwrap_or(0);
        self.places[self.kept[oldest].0] = None;
        oldest
    }

    /// Return the row at `place`.
    pub fn row(&self, place: usize) -> &[f32] {
        &self.rows[place]
    }
}
