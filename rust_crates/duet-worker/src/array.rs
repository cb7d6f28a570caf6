//! Named arrays: the outputs of an implementation, their files and their digest.
//!
//! An implementation computes with its framework's own arrays and converts them at the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use npyz::WriterBuilder as _;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// The elements of an [`Array`], in C order.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 64-bit integers.
    I64(Vec<i64>),
}

/// An array of any shape; an array without dimensions is a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Data,
}

impl Array {
    /// Return an array of `shape` with the elements of `data`, anything that converts to a one-dimensional array, in C order.
    pub fn shaped(data: impl Into<Self>, shape: &[usize]) -> Result<Self> {
        let data = data.into().data;
        let (found, wanted) = (data.len(), shape.iter().product::<usize>());
        if found != wanted {
            return Err(Error::failed(format!(
                "{found} elements do not fill the shape {shape:?}; pass {wanted}"
            )));
        }
        Ok(Self { shape: shape.to_vec(), data })
    }

    /// The length of each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn data(&self) -> &Data {
        &self.data
    }

    fn write(&self, path: &Path) -> Result<()> {
        let cannot =
            |error| Error::failed(format!("cannot write {}: {error}; choose another folder", path.display()));
        let file = std::io::BufWriter::new(fs::File::create(path).map_err(cannot)?);
        match &self.data {
            Data::F32(values) => write_npy(file, &self.shape, values),
            Data::F64(values) => write_npy(file, &self.shape, values),
            Data::I64(values) => write_npy(file, &self.shape, values),
        }
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
            Self::I64(values) => values.len(),
        }
    }

    /// Return NumPy's name of the type.
    fn descriptor(&self) -> &'static str {
        match self {
            Self::F32(_) => "<f4",
            Self::F64(_) => "<f8",
            Self::I64(_) => "<i8",
        }
    }

    fn hash_into(&self, hash: &mut Sha256) {
        match self {
            Self::F32(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
            Self::F64(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
            Self::I64(values) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
        }
    }
}

fn write_npy<T: npyz::AutoSerialize + Copy>(
    file: impl std::io::Write,
    shape: &[usize],
    values: &[T],
) -> Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&length| length as u64).collect();
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
    writer.extend(values.iter().copied())?;
    writer.finish()?;
    Ok(())
}

macro_rules! array_from {
    ($element:ty, $variant:ident, $stored:ty) => {
        impl From<$element> for Array {
            fn from(value: $element) -> Self {
                Self { shape: Vec::new(), data: Data::$variant(vec![<$stored>::from(value)]) }
            }
        }
        impl From<Vec<$element>> for Array {
            fn from(values: Vec<$element>) -> Self {
                let data: Vec<$stored> = values.into_iter().map(<$stored>::from).collect();
                Self { shape: vec![data.len()], data: Data::$variant(data) }
            }
        }
    };
}
array_from!(f32, F32, f32);
array_from!(f64, F64, f64);
array_from!(i64, I64, i64);
array_from!(i32, I64, i64);
array_from!(u32, I64, i64);
array_from!(bool, I64, i64);

/// The result of one call, in a form that can be compared with the results of other members.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Outputs {
    pub(crate) arrays: BTreeMap<String, Array>,
    pub(crate) iterations: Option<u64>,
    pub(crate) converged: Option<bool>,
    pub(crate) loss: Vec<f64>,
}

impl Outputs {
    /// Return empty outputs.
    pub fn new() -> Self {
        Self::default()
    }

    /// Add an array under `name`, which becomes a file name.
    pub fn array(mut self, name: impl Into<String>, array: impl Into<Array>) -> Self {
        self.arrays.insert(name.into(), array.into());
        self
    }

    /// Set the number of iterations that the call took.
    pub fn iterations(mut self, iterations: u64) -> Self {
        self.iterations = Some(iterations);
        self
    }

    /// Set whether the call met its own stopping rule.
    pub fn converged(mut self, converged: bool) -> Self {
        self.converged = Some(converged);
        self
    }

    /// Set the loss of each step.
    pub fn loss(mut self, loss: Vec<f64>) -> Self {
        self.loss = loss;
        self
    }

    /// Return the SHA-256 in hex over the arrays in the order of their names: name, NUL, NumPy's type, NUL, shape as decimals
    /// joined by commas, NUL, elements in C order, little endian.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (name, array) in &self.arrays {
            let shape: Vec<String> = array.shape.iter().map(ToString::to_string).collect();
            hash.update(format!("{name}\0{}\0{}\0", array.data.descriptor(), shape.join(",")));
            array.data.hash_into(&mut hash);
        }
        crate::hex(&hash.finalize())
    }

    /// Write each array as `<name>.npy` to the existing folder `into`; return the paths by name.
    pub fn write(&self, into: &Path) -> Result<BTreeMap<String, String>> {
        if !into.is_dir() {
            return Err(Error::invalid(format!("{}: no such folder; create it first", into.display())));
        }
        let mut paths = BTreeMap::new();
        for (name, array) in &self.arrays {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(Error::failed(format!("output name {name:?} is not a file name; rename it")));
            }
            let path = into.join(format!("{name}.npy"));
            array.write(&path)?;
            paths.insert(name.clone(), path.to_string_lossy().into_owned());
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_hex(text: &str) -> Vec<u8> {
        (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
    }

    fn array_of(vector: &serde_json::Value) -> Array {
        let bytes = decode_hex(vector["bytes_hex"].as_str().unwrap());
        let shape: Vec<usize> = serde_json::from_value(vector["shape"].clone()).unwrap();
        let words = bytes.as_chunks::<8>().0.iter();
        match vector["dtype"].as_str().unwrap() {
            "<f8" => Array::shaped(words.map(|word| f64::from_le_bytes(*word)).collect::<Vec<_>>(), &shape),
            "<i8" => Array::shaped(words.map(|word| i64::from_le_bytes(*word)).collect::<Vec<_>>(), &shape),
            "<f4" => {
                let words = bytes.as_chunks::<4>().0.iter();
                Array::shaped(words.map(|word| f32::from_le_bytes(*word)).collect::<Vec<_>>(), &shape)
            }
            other => panic!("{other}"),
        }
        .unwrap()
    }

    #[test]
    fn the_shared_vector_has_the_expected_digest() {
        let vector: serde_json::Value =
            serde_json::from_str(include_str!("../testdata/output_digest.json")).unwrap();
        let outputs = vector["arrays"].as_array().unwrap().iter().fold(Outputs::new(), |outputs, array| {
            outputs.array(array["name"].as_str().unwrap(), array_of(array))
        });
        assert_eq!(vector["sha256"].as_str().unwrap(), outputs.digest());
    }

    #[test]
    fn written_arrays_read_back_with_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let array = Array::shaped(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]).unwrap();
        let paths = Outputs::new().array("a.b", array).write(folder.path()).unwrap();
        let bytes = fs::read(&paths["a.b"]).unwrap();
        let npy = npyz::NpyFile::new(&bytes[..]).unwrap();
        assert_eq!(&[2, 3], npy.shape());
        assert_eq!(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], npy.into_vec::<f64>().unwrap());
    }

    #[test]
    fn a_number_is_an_array_without_dimensions() {
        assert_eq!(&[0usize; 0], Array::from(3i64).shape());
    }

    #[test]
    fn a_shape_that_does_not_fit_is_an_error() {
        assert!(Array::shaped(vec![1.0], &[2]).is_err());
    }

    #[test]
    fn an_output_cannot_leave_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Outputs::new().array("../evil", 1.0).write(folder.path()).is_err());
    }
}
