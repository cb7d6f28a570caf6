//! Blocks of nearby points: a grid finds the neighbours of a block in a few columns, a kd-tree in more.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use std::ops::Range;

use duet_worker::Matrix;

/// The largest number of points in a block: few enough for a tight bounding box, enough for an efficient loop.
pub(super) const MOST: usize = 32;

/// The largest number of columns of a grid; a cell has 3ᵖ neighbours.
const GRID_COLUMNS: usize = 3;

/// Points reordered so that neighbours are close in memory, and split into blocks.
pub(super) struct Blocks {
    columns: usize,
    /// The row of each point, in the new order.
    pub rows: Vec<usize>,
    /// Coordinates, ordered by block and column.
    values: Vec<f64>,
    /// The start of each block, and the end of the last.
    starts: Vec<usize>,
    index: Index,
}

enum Index {
    /// The cell of each block, in ascending order.
    Grid(Vec<[i64; GRID_COLUMNS]>),
    /// Nodes; the last one is the root.
    Tree(Vec<Node>),
}

struct Node {
    low: Vec<f64>,
    high: Vec<f64>,
    below: Below,
}

enum Below {
    Block(usize),
    Nodes(usize, usize),
}

impl Blocks {
    /// Arrange the rows of `x` for searches within `eps`.
    pub fn of(x: &Matrix<f64>, eps: f64) -> Self {
        if x.columns <= GRID_COLUMNS { Self::grid(x, eps) } else { Self::tree(x) }
    }

    fn grid(x: &Matrix<f64>, eps: f64) -> Self {
        // Slightly wider than `eps`, so that rounding cannot put neighbours two cells apart.
        let side = eps * (1.0 + 1e-9);
        let mut low = vec![f64::INFINITY; x.columns];
        for row in x.data.chunks_exact(x.columns) {
            low.iter_mut().zip(row).for_each(|(low, value)| *low = low.min(*value));
        }
        let mut placed: Vec<([i64; GRID_COLUMNS], usize)> = Vec::with_capacity(x.rows);
        for (row, values) in x.data.chunks_exact(x.columns).enumerate() {
            let mut cell = [0; GRID_COLUMNS];
            for (cell, (value, low)) in cell.iter_mut().zip(values.iter().zip(&low)) {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "rounded down; a value out of range saturates"
                )]
                let position = ((value - low) / side).floor() as i64;
                *cell = position;
            }
            placed.push((cell, row));
        }
        placed.sort_unstable();
        let (mut starts, mut cells) = (vec![0], Vec::new());
        for (at, (cell, _)) in placed.iter().enumerate() {
            let last = starts[starts.len() - 1];
            if at > last && (placed[last].0 != *cell || at - last == MOST) {
                starts.push(at);
            }
            if cells.len() < starts.len() {
                cells.push(*cell);
            }
        }
        starts.push(x.rows);
        let rows = placed.into_iter().map(|(_, row)| row).collect();
        Self::filled(x, rows, starts, Index::Grid(cells))
    }

    fn tree(x: &Matrix<f64>) -> Self {
        let mut rows: Vec<usize> = (0..x.rows).collect();
        let (mut starts, mut nodes) = (vec![0], Vec::new());
        grow(x, &mut rows, 0, &mut starts, &mut nodes);
        Self::filled(x, rows, starts, Index::Tree(nodes))
    }

    fn filled(x: &Matrix<f64>, rows: Vec<usize>, starts: Vec<usize>, index: Index) -> Self {
        let mut values = Vec::with_capacity(x.data.len());
        for block in starts.windows(2) {
            for column in 0..x.columns {
                values.extend(rows[block[0]..block[1]].iter().map(|row| x.data[row * x.columns + column]));
            }
        }
        Self { columns: x.columns, rows, values, starts, index }
    }

    /// Return the number of blocks.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Return the points of a block, in the new order.
    pub fn points(&self, block: usize) -> Range<usize> {
        self.starts[block]..self.starts[block + 1]
    }

    /// Call `visit` with every block that may have a point within `eps` of one of `block`, including `block` itself, until it
    /// returns false.
    pub fn near(&self, block: usize, eps: f64, visit: &mut impl FnMut(usize) -> bool) {
        match &self.index {
            Index::Grid(cells) => near_cells(cells, self.columns, cells[block], visit),
            Index::Tree(nodes) => {
                let (low, high) = self.bounds(block);
                // Widen the limit, because rounding may increase the distance between boxes.
                descend(nodes, nodes.len() - 1, (&low, &high), eps * eps * (1.0 + 1e-9), visit);
            }
        }
    }

    fn bounds(&self, block: usize) -> (Vec<f64>, Vec<f64>) {
        let length = self.points(block).len();
        let ends = self.block_values(block).chunks_exact(length).map(|column| {
            column
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
        });
        ends.unzip()
    }

    fn block_values(&self, block: usize) -> &[f64] {
        let points = self.points(block);
        &self.values[points.start * self.columns..points.end * self.columns]
    }

    /// Write the squared distances of the points of `block` from the point at `offset` of block `from`.
    ///
    /// Columns are added one after the other, as in scikit-learn's trees, so that a point at exactly `eps` gets the same result.
    #[inline(always)]
    pub fn distances(&self, from: usize, offset: usize, block: usize, squared: &mut [f64; MOST]) {
        let (theirs, mine) = (self.block_values(block), self.block_values(from));
        let (length, own) = (self.points(block).len(), self.points(from).len());
        let squared = &mut squared[..length];
        squared.fill(0.0);
        for column in 0..self.columns {
            let value = mine[column * own + offset];
            for (sum, other) in squared.iter_mut().zip(&theirs[column * length..(column + 1) * length]) {
                *sum += (value - other) * (value - other);
            }
        }
    }
}

/// Halve `rows` along the longest side until they fit into blocks; return the index of the new node.
fn grow(
    x: &Matrix<f64>,
    rows: &mut [usize],
    first: usize,
    starts: &mut Vec<usize>,
    nodes: &mut Vec<Node>,
) -> usize {
    let (mut low, mut high) = (vec![f64::INFINITY; x.columns], vec![f64::NEG_INFINITY; x.columns]);
    for row in rows.iter() {
        let values = &x.data[row * x.columns..(row + 1) * x.columns];
        for (value, (low, high)) in values.iter().zip(low.iter_mut().zip(&mut high)) {
            (*low, *high) = (low.min(*value), high.max(*value));
        }
    }
    let below = if rows.len() <= MOST {
        starts.push(first + rows.len());
        Below::Block(starts.len() - 2)
    } else {
        let side = |column: &usize| high[*column] - low[*column];
        let longest = (0..x.columns).max_by(|a, b| side(a).total_cmp(&side(b))).unwrap_or(0);
        let middle = rows.len() / 2;
        let value = |row: &usize| x.data[row * x.columns + longest];
        rows.select_nth_unstable_by(middle, |a, b| value(a).total_cmp(&value(b)));
        let (left, right) = rows.split_at_mut(middle);
        let left = grow(x, left, first, starts, nodes);
        Below::Nodes(left, grow(x, right, first + middle, starts, nodes))
    };
    nodes.push(Node { low, high, below });
    nodes.len() - 1
}

/// Visit the blocks below a node whose boxes are within the squared distance `limit` of the box `around`; return whether to
/// continue.
fn descend(
    nodes: &[Node],
    at: usize,
    around: (&[f64], &[f64]),
    limit: f64,
    visit: &mut impl FnMut(usize) -> bool,
) -> bool {
    let node = &nodes[at];
    let mut gap = 0.0;
    for column in 0..node.low.len() {
        let apart = (node.low[column] - around.1[column]).max(around.0[column] - node.high[column]).max(0.0);
        gap += apart * apart;
    }
    if gap > limit {
        return true;
    }
    match node.below {
        Below::Block(block) => visit(block),
        Below::Nodes(left, right) => {
            descend(nodes, left, around, limit, visit) && descend(nodes, right, around, limit, visit)
        }
    }
}

/// Visit the blocks in `cell` and in the cells around it, in the first `columns` directions.
fn near_cells(
    cells: &[[i64; GRID_COLUMNS]],
    columns: usize,
    cell: [i64; GRID_COLUMNS],
    visit: &mut impl FnMut(usize) -> bool,
) {
    let away = |column: usize| i64::from(column < columns);
    for first in -away(0)..=away(0) {
        for second in -away(1)..=away(1) {
            let stripe = |third: i64| [cell[0] + first, cell[1] + second, cell[2] + third];
            let (low, high) = (stripe(-away(2)), stripe(away(2)));
            let from = cells.partition_point(|other| *other < low);
            for (block, _) in cells.iter().enumerate().skip(from).take_while(|(_, other)| **other <= high) {
                if !visit(block) {
                    return;
                }
            }
        }
    }
}
