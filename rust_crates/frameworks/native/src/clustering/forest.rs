//! Disjoint sets (union-find).

/// Disjoint sets of the integers below a limit; initially each integer is its own set.
pub(super) struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    pub fn new(size: usize) -> Self {
        Self { parents: (0..size).collect() }
    }

    /// Return the representative of the set of `member`.
    pub fn root(&mut self, member: usize) -> usize {
        let mut at = member;
        while self.parents[at] != at {
            // Path halving keeps paths short.
            self.parents[at] = self.parents[self.parents[at]];
            at = self.parents[at];
        }
        at
    }

    /// Join the sets of `a` and `b`; the smaller root represents both.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_joined_members_share_a_root() {
        let mut forest = Forest::new(6);
        for (a, b) in [(0, 1), (2, 3), (3, 1)] {
            forest.join(a, b);
        }
        let roots: Vec<usize> = (0..6).map(|member| forest.root(member)).collect();
        assert_eq!(vec![0, 0, 0, 0, 4, 5], roots);
    }
}
