//! Recurrent networks on burn; `networks` trains and runs them.

// burn's macros refer to the facade crate, which cannot be built beside tch.
use burn_core as burn;
use burn_core::module::Module;
use burn_core::tensor::Tensor;
use burn_core::tensor::backend::Backend;
use burn_flex::Flex;
use burn_nn::gru::{Gru, GruConfig};
use burn_nn::{Linear, Lstm, LstmConfig, Rnn, RnnConfig};
use duet_worker::{Registry, Result};
use task_support::recurrent::Sizes;

use crate::layers::{Collector, Read, Weights};
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

fn sizes(weights: &Weights) -> Result<Sizes<usize>> {
    Sizes::read(|name| weights.get(name).ok().map(|(shape, _)| shape.to_vec()))
}

/// Return the state after the last step (sequences × size), given the states after all steps.
fn last<B: Backend>(states: Tensor<B, 3>) -> Tensor<B, 2> {
    let [count, steps, size] = states.dims();
    states.narrow(1, steps - 1, 1).reshape([count, size])
}

/// An LSTM layer and a linear layer that reads its state after the last step.
#[derive(Module, Debug)]
struct LstmClassifier<B: Backend> {
    rnn: Lstm<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for LstmClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let Sizes { features, hidden, .. } = sizes(weights)?;
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

    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()> {
        let rnn = &self.rnn;
        into.gates("rnn", &[&rnn.input_gate, &rnn.forget_gate, &rnn.cell_gate, &rnn.output_gate])?;
        into.linear("fc", &self.fc)
    }
}

/// A GRU layer and a linear layer that reads its state after the last step.
#[derive(Module, Debug)]
struct GruClassifier<B: Backend> {
    rnn: Gru<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for GruClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let Sizes { features, hidden, .. } = sizes(weights)?;
        let mut rnn: Gru<B> = GruConfig::new(features, hidden, true).init(&B::Device::default());
        weights.fill_gates("rnn", &mut [&mut rnn.reset_gate, &mut rnn.update_gate, &mut rnn.new_gate])?;
        Ok(Self { rnn, fc: weights.linear("fc")? })
    }

    fn logits(&self, sequences: Tensor<B, 3>) -> Tensor<B, 2> {
        self.fc.forward(last(self.rnn.forward(sequences, None)))
    }

    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()> {
        into.gates("rnn", &[&self.rnn.reset_gate, &self.rnn.update_gate, &self.rnn.new_gate])?;
        into.linear("fc", &self.fc)
    }
}

/// A plain recurrent layer with tanh and a linear layer that reads its state after the last step.
#[derive(Module, Debug)]
struct RnnClassifier<B: Backend> {
    rnn: Rnn<B>,
    fc: Linear<B>,
}

impl<B: Backend> Network<B, 3> for RnnClassifier<B> {
    fn load(weights: &Weights) -> Result<Self> {
        let Sizes { features, hidden, .. } = sizes(weights)?;
        let mut rnn: Rnn<B> = RnnConfig::new(features, hidden, true).init(&B::Device::default());
        weights.fill_gates("rnn", &mut [&mut rnn.gate])?;
        Ok(Self { rnn, fc: weights.linear("fc")? })
    }

    fn logits(&self, sequences: Tensor<B, 3>) -> Tensor<B, 2> {
        let (_, state) = self.rnn.forward(sequences, None);
        self.fc.forward(state.hidden)
    }

    fn read<R: Read<B>>(&self, into: &mut Collector<R>) -> Result<()> {
        into.gates("rnn", &[&self.rnn.gate])?;
        into.linear("fc", &self.fc)
    }
}
