//! Recurrent networks on libtorch.
//!
//! Not for training or running them: `networks` does, the same way for every task.

use duet_worker::{Error, Registry, Result};
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

#[derive(Clone, Copy)]
struct Sizes {
    features: i64,
    hidden: i64,
    classes: i64,
}

impl Sizes {
    fn of(weights: &Weights) -> Result<Self> {
        let size = |name: &str| match weights.get(name).map(Tensor::size).as_deref() {
            Some(&[rows, columns]) => Ok((rows, columns)),
            _ => Err(Error::invalid(format!("weight {name:?} is no matrix; write it as rows × columns"))),
        };
        let (_, features) = size("rnn.weight_ih_l0")?;
        let (classes, hidden) = size("fc.weight")?;
        Ok(Self { features, hidden, classes })
    }
}

/// One recurrent layer, which returns its state after each step, and a linear one that reads the last.
fn classifier(
    root: &nn::Path,
    weights: &Weights,
    layer: impl Fn(nn::Path, Sizes) -> Forward,
) -> Result<Forward> {
    let sizes = Sizes::of(weights)?;
    let recurrent = layer(root / "rnn", sizes);
    let fc = nn::linear(root / "fc", sizes.hidden, sizes.classes, LinearConfig::default());
    Ok(Box::new(move |sequences| fc.forward(&recurrent(sequences).select(1, -1))))
}

/// The plain recurrent layer with tanh: tch has its operator but no layer of its own.
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
