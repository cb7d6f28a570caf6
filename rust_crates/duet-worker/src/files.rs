//! Decoding of a job's data files: `.npy` in either order, and `.safetensors`.
//!
//! `job` finds the files and hashes the same bytes.

use std::collections::BTreeMap;

use safetensors::{Dtype, SafeTensors};

use crate::Array;
use crate::array::Data;

/// The memory layout of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Row by row.
    C,
    /// Column by column.
    Fortran,
}

/// A dense matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix<T> {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// The layout of `data`.
    pub order: Order,
    /// All elements, without gaps.
    pub data: Vec<T>,
}

/// An element type that an `.npy` file can be read as.
pub(crate) trait Element: npyz::Deserialize + Copy + Default {
    /// The job's name of the type, if it has one.
    const DTYPE: Option<&'static str>;
    /// The type's name in messages.
    const NAME: &'static str;
}

impl Element for f32 {
    const DTYPE: Option<&'static str> = Some("f32");
    const NAME: &'static str = "32-bit floats";
}

impl Element for f64 {
    const DTYPE: Option<&'static str> = Some("f64");
    const NAME: &'static str = "64-bit floats";
}

impl Element for i64 {
    const DTYPE: Option<&'static str> = None;
    const NAME: &'static str = "64-bit integers";
}

impl Data {
    /// Return the job's name of the type, if it has one.
    pub(crate) fn dtype(&self) -> Option<&'static str> {
        match self {
            Self::F32(_) => f32::DTYPE,
            Self::F64(_) => f64::DTYPE,
            Self::I64(_) => i64::DTYPE,
        }
    }
}

/// Decode a two-dimensional `.npy` file to the given order.
pub(crate) fn read_matrix<T: Element>(bytes: &[u8], order: Order) -> Result<Matrix<T>, String> {
    let (shape, stored, data) = read_npy::<T>(bytes)?;
    let &[rows, columns] = shape.as_slice() else {
        return Err(format!("its shape is {shape:?}; write it with two dimensions"));
    };
    let data = match (stored, order) {
        (Order::C, Order::Fortran) => transposed(&data, rows, columns),
        (Order::Fortran, Order::C) => transposed(&data, columns, rows),
        _ => data,
    };
    Ok(Matrix { rows, columns, order, data })
}

/// Decode an `.npy` file; return its shape and its elements in C order.
pub(crate) fn read_array<T: Element>(bytes: &[u8]) -> Result<(Vec<usize>, Vec<T>), String> {
    let (shape, stored, data) = read_npy::<T>(bytes)?;
    match (stored, shape.as_slice()) {
        (Order::Fortran, &[rows, columns]) => Ok((shape, transposed(&data, columns, rows))),
        (Order::Fortran, dimensions) if dimensions.len() > 2 => {
            Err(format!("it has {} dimensions in Fortran order; write it in C order", shape.len()))
        }
        _ => Ok((shape, data)),
    }
}

fn read_npy<T: Element>(bytes: &[u8]) -> Result<(Vec<usize>, Order, Vec<T>), String> {
    let mut rest = bytes;
    let header = npyz::NpyHeader::from_reader(&mut rest)
        .map_err(|error| format!("not an npy file ({error}); write it with numpy.save"))?;
    let left = rest.len();
    let npy = npyz::NpyFile::with_header(header, rest);
    let stored = match npy.order() {
        npyz::Order::C => Order::C,
        npyz::Order::Fortran => Order::Fortran,
    };
    let shape: Result<Vec<usize>, _> = npy.shape().iter().map(|&length| usize::try_from(length)).collect();
    let shape = shape.map_err(|error| error.to_string())?;
    // Check before allocating anything: the header of a broken file may claim any length.
    let claimed = shape.iter().try_fold(size_of::<T>(), |total, &length| total.checked_mul(length));
    if claimed.is_none_or(|claimed| claimed > left) {
        return Err(format!("it is shorter than its shape {shape:?} says; write it again"));
    }
    let dtype = npy.dtype().descr();
    let Ok(elements) = npy.data::<T>() else {
        return Err(format!("its type is {dtype}; write it as {}", T::NAME));
    };
    let data: Result<Vec<T>, _> = elements.collect();
    Ok((shape, stored, data.map_err(|error| format!("{error}; write it again"))?))
}

/// Return `data`, `rows` rows in row-major order, in column-major order.
fn transposed<T: Copy + Default>(data: &[T], rows: usize, columns: usize) -> Vec<T> {
    let mut turned = vec![T::default(); data.len()];
    for row in 0..rows {
        for column in 0..columns {
            turned[column * rows + row] = data[row * columns + column];
        }
    }
    turned
}

/// Decode the tensors of a `.safetensors` file by name.
pub(crate) fn read_tensors(bytes: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|error| format!("{error}; write it with safetensors"))?;
    let tensors = file.iter().map(|(name, view)| {
        let data = match view.dtype() {
            Dtype::F32 => Array::from(words(view.data(), f32::from_le_bytes)),
            Dtype::F64 => Array::from(words(view.data(), f64::from_le_bytes)),
            Dtype::I64 => Array::from(words(view.data(), i64::from_le_bytes)),
            other => {
                return Err(format!("tensor {name:?} is {other:?}; write it as F32, F64 or I64"));
            }
        };
        let array = Array::shaped(data, view.shape()).map_err(|error| error.message)?;
        Ok((name.to_owned(), array))
    });
    tensors.collect()
}

fn words<const WIDTH: usize, T>(bytes: &[u8], decode: impl Fn([u8; WIDTH]) -> T) -> Vec<T> {
    bytes.as_chunks::<WIDTH>().0.iter().map(|word| decode(*word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use npyz::WriterBuilder as _;

    fn npy(order: npyz::Order, shape: &[u64], values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape).order(order);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    #[test]
    fn a_file_in_either_order_can_be_read_in_either_order() {
        let by_row = npy(npyz::Order::C, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let by_column = npy(npyz::Order::Fortran, &[2, 3], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        for file in [by_row, by_column] {
            let c = read_matrix::<f64>(&file, Order::C).unwrap();
            assert_eq!((2, 3, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (c.rows, c.columns, c.data));
            let fortran = read_matrix::<f64>(&file, Order::Fortran).unwrap();
            assert_eq!(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0], fortran.data);
            assert_eq!((vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), read_array(&file).unwrap());
        }
    }

    #[test]
    fn the_error_for_another_type_names_the_expected_one() {
        let file = npy(npyz::Order::C, &[1], &[1.0]);
        assert!(read_array::<f32>(&file).unwrap_err().contains("write it as 32-bit floats"));
    }

    #[test]
    fn a_shape_larger_than_the_file_is_an_error() {
        let mut file = npy(npyz::Order::C, &[2], &[1.0, 2.0]);
        file.truncate(file.len() - 8);
        assert!(read_array::<f64>(&file).unwrap_err().contains("shorter"));
    }

    #[test]
    fn tensors_are_read_by_name() {
        let bytes: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = safetensors::tensor::TensorView::new(Dtype::F32, vec![1, 2], &bytes).unwrap();
        let file = safetensors::serialize([("w", view)], None).unwrap();
        let tensors = read_tensors(&file).unwrap();
        assert_eq!(Array::shaped(vec![1.0f32, 2.0], &[1, 2]).unwrap(), tensors["w"]);
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(read_array::<f64>(b"garbage").is_err());
        assert!(read_tensors(b"garbage").is_err());
    }
}
