//! GELU by the error function, in one pass and in vectors; without a gradient.
//!
//! Not for learning: candle's own has a gradient. That one calls a scalar `erff` for each element, which takes about a fifth of
//! the time in which a BERT reads a batch.

use std::f32::consts::FRAC_1_SQRT_2;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};
use pulp::Arch;
use rayon::prelude::*;

/// Elements that one thread takes at a time: as many as stay in its nearest cache.
const CHUNK: usize = 4096;

/// Return x Φ(x) of every element x, where Φ is the normal distribution; `x` is contiguous, of f32, and lies on the processor.
pub fn gelu_erf(x: &Tensor) -> Result<Tensor> {
    x.apply_op1_no_bwd(&Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu-erf"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(all), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            bail!("gelu-erf takes contiguous tensors of f32; convert it before");
        };
        let arch = Arch::new();
        let mut result = vec![0.0; end - start];
        result.par_chunks_mut(CHUNK).zip(all[start..end].par_chunks(CHUNK)).for_each(|(result, x)| {
            arch.dispatch(
                #[inline(always)]
                || result.iter_mut().zip(x).for_each(|(y, &x)| *y = 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2))),
            );
        });
        Ok((CpuStorage::F32(result), layout.shape().clone()))
    }
}

/// Return the error function, off by less than 3e-7; a quotient of polynomials that Eigen uses too.
///
/// Without a branch, so that a loop over it becomes vectors.
#[inline(always)]
fn erf(x: f32) -> f32 {
    /// Of x¹³, x¹¹, … x.
    const ABOVE: [f32; 7] = [
        -2.726_142_3e-10,
        2.770_681_4e-8,
        -2.101_024e-6,
        -5.692_506_5e-5,
        -7.349_906e-4,
        -2.954_6e-3,
        -1.609_603_3e-2,
    ];
    /// Of x⁸, x⁶, … 1.
    const BELOW: [f32; 5] = [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
    // Beyond, it is one to all digits.
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let series = |factors: &[f32]| factors[1..].iter().fold(factors[0], |sum, factor| sum * square + factor);
    x * series(&ABOVE) / series(&BELOW)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn it_is_what_candle_computes_element_by_element() {
        let x = Tensor::arange(-8.0_f32, 8.0, &Device::Cpu).unwrap();
        let x = Tensor::cat(&[&x, &(&x / 7.0).unwrap(), &(&x / 1e4).unwrap()], 0).unwrap();
        let x = x.repeat(400).unwrap();
        let apart = (gelu_erf(&x).unwrap() - x.gelu_erf().unwrap()).unwrap().abs().unwrap();
        assert_eq!(x.dims(), apart.dims());
        assert!(apart.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    }

    #[test]
    fn a_part_of_a_tensor_is_read_where_it_lies() {
        let all = Tensor::arange(0.0_f32, 6.0, &Device::Cpu).unwrap();
        let part = gelu_erf(&all.narrow(0, 3, 2).unwrap()).unwrap();
        let expected = all.gelu_erf().unwrap().narrow(0, 3, 2).unwrap();
        assert!(
            (part - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6
        );
    }

    #[test]
    fn what_does_not_lie_together_is_refused() {
        let all = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let refused = gelu_erf(&all.t().unwrap()).unwrap_err();
        assert!(refused.to_string().contains("contiguous"));
    }
}
