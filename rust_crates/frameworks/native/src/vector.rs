//! Loops over contiguous floats, compiled for several instruction sets; the best one is chosen at run time.
//!
//! Every product and sum is rounded separately and sums are split the same way for every instruction set, so results do not
//! depend on it. faer computes products of matrices.

#![expect(
    clippy::inline_always,
    reason = "only inlined functions are compiled for the chosen instruction set"
)]

use pulp::Arch;

/// Number of partial sums: enough that no addition has to wait for the previous one.
const LANES: usize = 32;

/// Number of partial sums for short rows, where folding many sums would cost more than adding.
const FEW_LANES: usize = 8;

/// The instruction set of this CPU.
#[derive(Clone, Copy, Debug)]
pub struct Vectors(Arch);

impl Vectors {
    /// Detect the instruction set.
    pub fn detect() -> Self {
        Self(Arch::new())
    }

    /// Run `work`, compiled for the instruction set; `work` and the functions it calls must be `#[inline(always)]`.
    pub fn run<R>(self, work: impl FnOnce() -> R) -> R {
        self.0.dispatch(work)
    }

    /// Return Σ aᵢ bᵢ.
    pub fn dot(self, a: &[f64], b: &[f64]) -> f64 {
        self.0.dispatch(
            #[inline(always)]
            || dot::<LANES>(a, b),
        )
    }

    /// Add `factor`·x to y.
    pub fn add_scaled(self, y: &mut [f64], factor: f64, x: &[f64]) {
        self.0.dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y += factor * x),
        );
    }

    /// Return the mean.
    pub fn mean(self, x: &[f64]) -> f64 {
        let sum = self.0.dispatch(
            #[inline(always)]
            || sum(x),
        );
        sum / x.len() as f64
    }

    /// Write x − `shift` to y.
    pub fn shift(self, y: &mut [f64], x: &[f64], shift: f64) {
        self.0.dispatch(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = x - shift),
        );
    }

    /// Return `intercept` plus each row of `rows` times `weights`; rows are contiguous and as long as `weights`.
    pub fn affine(self, rows: &[f64], weights: &[f64], intercept: f64) -> Vec<f64> {
        self.0.dispatch(
            #[inline(always)]
            || {
                rows.chunks_exact(weights.len())
                    .map(|row| intercept + dot::<FEW_LANES>(row, weights))
                    .collect()
            },
        )
    }
}

/// Return eˣ with an error below two units in the last place; x is clamped to −708 to 0.
///
/// It has no branch, so that the compiler can vectorise a loop over it.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    /// Adding and subtracting this number rounds to an integer, which is in the lowest bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// ln 2 in two parts; the product of the first part and an integer of 11 bits is exact.
    const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    /// 1/k! for k = 13, 12, … 2; the remainder of Taylor's series is below half a unit in the last place.
    const SERIES: [f64; 12] = [
        1.605_904_383_682_161_5e-10,
        2.087_675_698_786_81e-9,
        2.505_210_838_544_172e-8,
        2.755_731_922_398_589_3e-7,
        2.755_731_922_398_589e-6,
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
    ];
    let x = x.clamp(-708.0, 0.0);
    let rounded = x * std::f64::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let rest = (x - whole * LN2_HIGH) - whole * LN2_LOW;
    let mut series = SERIES[0];
    for factor in &SERIES[1..] {
        series = series * rest + factor;
    }
    let mantissa = 1.0 + (rest + rest * rest * series);
    mantissa * f64::from_bits((rounded.to_bits() << 52).wrapping_add(1023 << 52))
}

#[inline(always)]
fn dot<const N: usize>(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<N>();
    let (b, b_rest) = b.as_chunks::<N>();
    let mut sums = [0.0; N];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..N {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    fold(sums) + rest
}

#[inline(always)]
fn sum(x: &[f64]) -> f64 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            sums[lane] += chunk[lane];
        }
    }
    fold(sums) + rest.iter().sum::<f64>()
}

/// Add up partial sums pairwise, which the compiler can vectorise.
#[inline(always)]
fn fold<const N: usize>(mut sums: [f64; N]) -> f64 {
    let mut half = N / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Return vectors of integers, so that every order of summation gives the same sum; their lengths cover the borders of chunks.
    fn vectors() -> impl Iterator<Item = (Vec<f64>, Vec<f64>)> {
        [0, 1, 7, 8, 31, 32, 33, 100].into_iter().map(|length| {
            let a: Vec<f64> = (0..length).map(|i| f64::from(i % 7)).collect();
            let b: Vec<f64> = (0..length).map(|i| f64::from(i % 5) - 2.0).collect();
            (a, b)
        })
    }

    #[test]
    fn dot_is_the_sum_of_products() {
        for (a, b) in vectors() {
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(expected, Vectors::detect().dot(&a, &b));
        }
    }

    #[test]
    fn exp_has_an_error_of_at_most_two_units_in_the_last_place() {
        for step in 0..20_000 {
            let x = -f64::from(step) * 0.035_1;
            let (expected, found) = (x.exp(), exp(x));
            assert!((expected - found).abs() <= 2.0 * f64::EPSILON * expected, "{x} {expected} {found}");
        }
        assert_eq!((1.0, 1.0), (exp(0.0), exp(-0.0)));
        assert!(exp(-1e9) < 1e-300);
    }

    #[test]
    fn add_scaled_adds_a_multiple_to_every_value() {
        for (a, b) in vectors() {
            let mut y = b.clone();
            Vectors::detect().add_scaled(&mut y, 3.0, &a);
            assert_eq!(b.iter().zip(&a).map(|(b, a)| b + 3.0 * a).collect::<Vec<_>>(), y);
        }
    }

    #[test]
    fn shifting_by_the_mean_centres_the_values() {
        let x: Vec<f64> = (0..99).map(f64::from).collect();
        let mut centred = vec![0.0; 99];
        Vectors::detect().shift(&mut centred, &x, Vectors::detect().mean(&x));
        assert_eq!((-49.0, 49.0), (centred[0], centred[98]));
    }

    #[test]
    fn affine_is_rows_times_weights_plus_intercept() {
        let rows = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(vec![11.0, 21.0], Vectors::detect().affine(&rows, &[2.0, 3.0], 3.0));
    }
}
