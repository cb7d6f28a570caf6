//! Recurrent networks on candle; `networks` trains and runs them.

use candle_core::{IndexOp as _, Tensor};
use candle_nn::rnn::{GRUConfig, LSTMConfig, RNN, gru, lstm};
use candle_nn::{Module as _, VarBuilder, linear};
use duet_worker::{Registry, Result};
use task_support::recurrent;

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

type Sizes = recurrent::Sizes<usize>;

/// Build a recurrent layer, which returns its state after the last step, and a linear layer that reads it.
fn classifier(
    vb: &VarBuilder,
    weights: &Weights,
    layer: impl Fn(VarBuilder, Sizes) -> Result<Forward>,
) -> Result<Forward> {
    let sizes = Sizes::read(|name| weights.get(name).map(|weight| weight.dims().to_vec()))?;
    let recurrent = layer(vb.pp("rnn"), sizes)?;
    let fc = linear(sizes.hidden, sizes.classes, vb.pp("fc"))?;
    Ok(Box::new(move |sequences| fc.forward(&recurrent(sequences)?)))
}

/// Run `layer` over all steps and read its last state.
fn last<L: RNN>(
    layer: &L,
    sequences: &Tensor,
    read: impl Fn(&L::State) -> Tensor,
) -> candle_core::Result<Tensor> {
    let states = layer.seq(sequences)?;
    states
        .last()
        .map(read)
        .ok_or_else(|| candle_core::Error::msg("a sequence without steps has no last state"))
}

/// The plain recurrent layer with tanh, which candle lacks, in the style of candle's own layers.
#[expect(clippy::needless_pass_by_value, reason = "candle's own layers take a builder by value")]
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
