//! Recurrent networks on candle.
//!
//! Not for training or running them: `networks` does, the same way for every task.

use candle_core::{IndexOp as _, Tensor};
use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm};
use candle_nn::{Module as _, VarBuilder, linear};
use duet_worker::{Error, Registry, Result};

use crate::networks::{self, Build, Forward};
use crate::tensors::Weights;

/// Register every network.
pub fn register(registry: &mut Registry) {
    let networks: [(&str, Build); 3] = [
        ("lstm", |vb, weights, _| {
            classifier(&vb, weights, |vb, sizes| {
                let layer = lstm(sizes.features, sizes.hidden, LSTMConfig::default(), vb)?;
                Ok(Box::new(move |x| last(&layer, x, |state| state.h().clone())))
            })
        }),
        ("gru", |vb, weights, _| {
            classifier(&vb, weights, |vb, sizes| {
                let layer = gru(sizes.features, sizes.hidden, GRUConfig::default(), vb)?;
                Ok(Box::new(move |x| last(&layer, x, |state| state.h().clone())))
            })
        }),
        ("rnn", |vb, weights, _| classifier(&vb, weights, vanilla)),
    ];
    for (name, build) in networks {
        networks::register_train(registry, "rnn", name, build);
        networks::register_predict(registry, "rnn", name, build);
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    features: usize,
    hidden: usize,
    classes: usize,
}

impl Sizes {
    fn of(weights: &Weights) -> Result<Self> {
        let size = |name: &str| match weights.get(name).map(Tensor::dims) {
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(Error::invalid(format!("weight {name:?} is no matrix; write it as rows × columns"))),
        };
        let (_, features) = size("rnn.weight_ih_l0")?;
        let (classes, hidden) = size("fc.weight")?;
        Ok(Self { features, hidden, classes })
    }
}

/// One recurrent layer, which returns its state after the last step, and a linear one that reads it.
fn classifier(
    vb: &VarBuilder,
    weights: &Weights,
    layer: impl Fn(VarBuilder, Sizes) -> Result<Forward>,
) -> Result<Forward> {
    let sizes = Sizes::of(weights)?;
    let recurrent = layer(vb.pp("rnn"), sizes)?;
    let fc = linear(sizes.hidden, sizes.classes, vb.pp("fc"))?;
    Ok(Box::new(move |sequences| fc.forward(&recurrent(sequences)?)))
}

/// Run `layer` over every step and read its last state.
fn last<L: RNN>(
    layer: &L,
    sequences: &Tensor,
    read: impl Fn(&L::State) -> Tensor,
) -> candle_core::Result<Tensor> {
    let states = layer.seq(sequences)?;
    states.last().map(read).ok_or_else(|| candle_core::Error::msg("a sequence without steps has no state"))
}

/// The plain recurrent layer with tanh, in the way of candle's own layers: it has none.
#[expect(clippy::needless_pass_by_value, reason = "candle's own layers take a builder so")]
fn vanilla(vb: VarBuilder, sizes: Sizes) -> Result<Forward> {
    let Sizes { features, hidden, .. } = sizes;
    let input = (vb.get((hidden, features), "weight_ih_l0")?, vb.get(hidden, "bias_ih_l0")?);
    let carry = (vb.get((hidden, hidden), "weight_hh_l0")?, vb.get(hidden, "bias_hh_l0")?);
    let apply = |(weight, bias): &(Tensor, Tensor), to: &Tensor| to.matmul(&weight.t()?)?.broadcast_add(bias);
    Ok(Box::new(move |sequences| {
        let (count, steps, _) = sequences.dims3()?;
        let mut state = Tensor::zeros((count, hidden), sequences.dtype(), sequences.device())?;
        for step in 0..steps {
            let given = apply(&input, &sequences.i((.., step, ..))?.contiguous()?)?;
            state = (given + apply(&carry, &state)?)?.tanh()?;
        }
        Ok(state)
    }))
}
