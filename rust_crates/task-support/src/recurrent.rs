//! The sizes of a recurrent classifier, read from its weights.

use duet_worker::{Error, Result};

/// The sizes of one recurrent layer and the linear layer after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<T> {
    /// Features per step.
    pub features: T,
    /// Size of the state.
    pub hidden: T,
    /// Number of classes.
    pub classes: T,
}

impl<T: Copy> Sizes<T> {
    /// Read the sizes, given the shape of each weight by name.
    pub fn read(shape: impl Fn(&str) -> Option<Vec<T>>) -> Result<Self> {
        let size = |name: &str| match shape(name).as_deref() {
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(Error::invalid(format!("weight {name:?} is not a matrix; write it as rows × columns"))),
        };
        let (_, features) = size("rnn.weight_ih_l0")?;
        let (classes, hidden) = size("fc.weight")?;
        Ok(Self { features, hidden, classes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_from_the_shapes_of_the_weights() {
        let shape = |name: &str| Some(if name == "fc.weight" { vec![10, 64] } else { vec![256, 28] });
        assert_eq!(Sizes { features: 28, hidden: 64, classes: 10 }, Sizes::read(shape).unwrap());
    }

    #[test]
    fn a_weight_that_is_not_a_matrix_is_named() {
        let error = Sizes::read(|name| (name != "fc.weight").then(|| vec![256, 28])).unwrap_err();
        assert!(error.message.contains("fc.weight"));
    }
}
