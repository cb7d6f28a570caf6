//! Recurrent networks on libtorch; `networks` trains and runs them.

use duet_worker::{Registry, Result};
use task_support::recurrent;
use tch::Tensor;
use tch::nn::{self, Init, LinearConfig, Module as _, RNN as _, RNNConfig};

use crate::networks::{self, Forward};
use crate::tensors::Weights;

/// Register every network.
pub fn register(registry: &mut Registry) {
    networks::register(registry, "rnn", "lstm", |root, weights, train| {
        classifier(root, weights, |path, sizes| {
            let layer = nn::lstm(path, sizes.features, sizes.hidden, config(train));
            Box::new(move |x| layer.seq(x).0)
        })
    });
    networks::register(registry, "rnn", "gru", |root, weights, train| {
        classifier(root, weights, |path, sizes| {
            let layer = nn::gru(path, sizes.features, sizes.hidden, config(train));
            Box::new(move |x| layer.seq(x).0)
        })
    });
    networks::register(registry, "rnn", "rnn", |root, weights, train| {
        classifier(root, weights, |path, sizes| vanilla(path, sizes, train))
    });
}

fn config(train: bool) -> RNNConfig {
    RNNConfig { train, ..RNNConfig::default() }
}

type Sizes = recurrent::Sizes<i64>;

/// Build a recurrent layer, which returns its state after each step, and a linear layer that reads the last one.
fn classifier(
    root: &nn::Path,
    weights: &Weights,
    layer: impl Fn(nn::Path, Sizes) -> Forward,
) -> Result<Forward> {
    let sizes = Sizes::read(|name| weights.get(name).map(Tensor::size))?;
    let recurrent = layer(root / "rnn", sizes);
    let fc = nn::linear(root / "fc", sizes.hidden, sizes.classes, LinearConfig::default());
    Ok(Box::new(move |sequences| fc.forward(&recurrent(sequences).select(1, -1))))
}

/// The plain recurrent layer with tanh; tch has its operator but no layer.
#[expect(clippy::needless_pass_by_value, reason = "tch's own layers take a path so")]
fn vanilla(path: nn::Path, sizes: Sizes, train: bool) -> Forward {
    let Sizes { features, hidden, .. } = sizes;
    // They are overwritten by the job's weights, under the names of PyTorch.
    let shapes: [(&str, &[i64]); 4] = [
        ("weight_ih_l0", &[hidden, features]),
        ("weight_hh_l0", &[hidden, hidden]),
        ("bias_ih_l0", &[hidden]),
        ("bias_hh_l0", &[hidden]),
    ];
    let weights = shapes.map(|(name, shape)| path.var(name, shape, Init::Const(0.0)));
    Box::new(move |x| {
        let state = Tensor::zeros([1, x.size()[0], hidden], (x.kind(), x.device()));
        x.rnn_tanh(&state, &weights, true, 1, 0.0, train, false, true).0
    })
}
