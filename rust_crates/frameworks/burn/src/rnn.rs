//! Recurrent networks on burn.
//!
//! Not for training or running them: `networks` does, the same way for every task.

// What burn's macros write names the facade crate, which cannot be built beside tch.
use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::Tensor;
use burn_core::tensor::backend::Backend;
use burn_flex::Flex;
use burn_nn::gru::{Gru, GruConfig};
use burn_nn::{Linear, Lstm, LstmConfig, Rnn, RnnConfig};
use duet_worker::{Error, Registry, Result};

use crate::layers::{Named, Read, Weights};
use crate::networks::{self, Learning, Network};

/// Register every network.
pub fn register(registry: &mut Registry) {
    networks::register_train::<LstmClassifier<Learning>, 3>(registry, "rnn", "lstm");
    networks::register_train::<GruClassifier<Learning>, 3>(registry, "rnn", "gru");
    networks::register_train::<RnnClassifier<Learning>, 3>(registry, "rnn", "rnn");
    networks::register_predict::<LstmClassifier<Flex>, 3>(registry, "rnn", "lstm");
    networks::register_predict::<GruClassifier<Flex>, 3>(registry, "rnn", "gru");
    networks::register_predict::<RnnClassifier<Flex>, 3>(registry, "rnn", "rnn");
}

/// Return how many features a step has and how large the state is.
fn sizes(weights: &Weights) -> Result<(usize, usize)> {
    let size = |name: &str| match weights.get(name)?.0 {
        &[_, columns] => Ok(columns),
        shape => Err(Error::invalid(format!(
            "weight {name:?} has the shape {shape:?}; write it as rows × columns"
        ))),
    };
    Ok((size("rnn.weight_ih_l0")?, size("rnn.weight_hh_l0")?))
}

/// Read the state after the last step (sequences × size) of the states after each.
fn last<B: Backend>(states: Tensor<B, 3>) -> Tensor<B, 2> {
    let [count, steps, size] = states.dims();
    states.narrow(1, steps - 1, 1).reshape([count, size])
}

/// One LSTM layer and a linear one that reads its state after the last step.
#[derive(Module, Debug)]
struct LstmClassifier<B: Backend> {
    rnn: Lstm<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for LstmClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let (features, hidden) = sizes(weights)?;
        let mut rnn: Lstm<B> = LstmConfig::new(features, hidden, true).init(&B::Device::default());
        let gates =
            &mut [&mut rnn.input_gate, &mut rnn.forget_gate, &mut rnn.cell_gate, &mut rnn.output_gate];
        weights.fill_gates("rnn", gates)?;
        Ok(Self { rnn, fc: weights.linear("fc")? })
    }

    fn logits(&self, sequences: Tensor<B, 3>) -> Tensor<B, 2> {
        let (_, state) = self.rnn.forward(sequences, None);
        self.fc.forward(state.hidden)
    }

    fn read<R: Read<B>>(&self, named: &mut Named<R>) -> Result<()> {
        let rnn = &self.rnn;
        named.gates("rnn", &[&rnn.input_gate, &rnn.forget_gate, &rnn.cell_gate, &rnn.output_gate])?;
        named.linear("fc", &self.fc)
    }
}

/// One GRU layer and a linear one that reads its state after the last step.
#[derive(Module, Debug)]
struct GruClassifier<B: Backend> {
    rnn: Gru<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for GruClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let (features, hidden) = sizes(weights)?;
        let mut rnn: Gru<B> = GruConfig::new(features, hidden, true).init(&B::Device::default());
        weights.fill_gates("rnn", &mut [&mut rnn.reset_gate, &mut rnn.update_gate, &mut rnn.new_gate])?;
        Ok(Self { rnn, fc: weights.linear("fc")? })
    }

    fn logits(&self, sequences: Tensor<B, 3>) -> Tensor<B, 2> {
        self.fc.forward(last(self.rnn.forward(sequences, None)))
    }

    fn read<R: Read<B>>(&self, named: &mut Named<R>) -> Result<()> {
        named.gates("rnn", &[&self.rnn.reset_gate, &self.rnn.update_gate, &self.rnn.new_gate])?;
        named.linear("fc", &self.fc)
    }
}

/// One plain recurrent layer with tanh and a linear one that reads its state after the last step.
#[derive(Module, Debug)]
struct RnnClassifier<B: Backend> {
    rnn: Rnn<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for RnnClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let (features, hidden) = sizes(weights)?;
        let mut rnn: Rnn<B> = RnnConfig::new(features, hidden, true).init(&B::Device::default());
        weights.fill_gates("rnn", &mut [&mut rnn.gate])?;
        Ok(Self { rnn, fc: weights.linear("fc")? })
    }

    fn logits(&self, sequences: Tensor<B, 3>) -> Tensor<B, 2> {
        let (_, state) = self.rnn.forward(sequences, None);
        self.fc.forward(state.hidden)
    }

    fn read<R: Read<B>>(&self, named: &mut Named<R>) -> Result<()> {
        named.gates("rnn", &[&self.rnn.gate])?;
        named.linear("fc", &self.fc)
    }
}
