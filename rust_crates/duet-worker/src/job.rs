//! The job that an implementation prepares, which records every read.
//!
//! Read everything through the job: the worker cannot attest anything else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::files::{self, Element, Matrix, Order};
use crate::protocol::{JobMessage, Scalar};
use crate::{Array, Error, Result};

/// A job.
///
/// The worker reports only what was read through it: the values of parameters, and the SHA-256 of the bytes of files.
#[derive(Debug)]
pub struct Job {
    message: JobMessage,
    threads: usize,
    params_read: RefCell<BTreeMap<String, Scalar>>,
    data_read: RefCell<BTreeMap<String, String>>,
    variant_read: Cell<bool>,
    device_read: Cell<bool>,
}

/// What was read from a job.
#[derive(Debug)]
pub(crate) struct Read {
    pub params: BTreeMap<String, Scalar>,
    pub data: BTreeMap<String, String>,
}

impl Job {
    pub(crate) fn new(message: JobMessage, threads: usize) -> Self {
        Self {
            message,
            threads,
            params_read: RefCell::default(),
            data_read: RefCell::default(),
            variant_read: Cell::new(false),
            device_read: Cell::new(false),
        }
    }

    /// Return the task's name.
    pub fn task(&self) -> &str {
        &self.message.task
    }

    /// Return the algorithm's name.
    pub fn algorithm(&self) -> &str {
        &self.message.algorithm
    }

    /// Return the phase's name.
    pub fn phase(&self) -> &str {
        &self.message.phase
    }

    /// Return the random seed.
    pub fn seed(&self) -> i64 {
        self.message.seed
    }

    /// Return the number of threads in effect.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Return the device, `cpu` or `cuda:N`.
    ///
    /// A job on a device other than `cpu` fails unless its implementation calls this.
    pub fn device(&self) -> &str {
        self.device_read.set(true);
        &self.message.device
    }

    /// Return the variant, which must be one of `known`; `""` is the default.
    ///
    /// A job with a variant fails unless its implementation calls this.
    pub fn variant(&self, known: &[&str]) -> Result<&str> {
        self.variant_read.set(true);
        let variant = self.message.variant.as_str();
        if known.contains(&variant) {
            return Ok(variant);
        }
        Err(Error::unsupported(format!(
            "variant {variant:?} is not implemented here; known variants: {known:?}"
        )))
    }

    /// Read a parameter as a float; integers are converted.
    pub fn f64(&self, name: &str) -> Result<f64> {
        #[expect(clippy::cast_precision_loss, reason = "an integer given for a float")]
        let value = match self.param(name)? {
            Scalar::Float(value) => *value,
            Scalar::Int(value) => *value as f64,
            Scalar::NonFinite(value) => f64::from(*value),
            other => return Err(wrong_type(name, other, "a number")),
        };
        self.note(name, Scalar::from(value));
        Ok(value)
    }

    /// Read a parameter as an integer.
    pub fn i64(&self, name: &str) -> Result<i64> {
        let Scalar::Int(value) = *self.param(name)? else {
            return Err(wrong_type(name, self.param(name)?, "an integer"));
        };
        self.note(name, Scalar::Int(value));
        Ok(value)
    }

    /// Read a parameter as an integer of at least 0.
    pub fn u64(&self, name: &str) -> Result<u64> {
        let value = self.i64(name)?;
        u64::try_from(value).map_err(|_| wrong_type(name, &Scalar::Int(value), "an integer of at least 0"))
    }

    /// Read a parameter as a size.
    pub fn usize(&self, name: &str) -> Result<usize> {
        let value = self.i64(name)?;
        usize::try_from(value).map_err(|_| wrong_type(name, &Scalar::Int(value), "an integer of at least 0"))
    }

    /// Read a parameter as a boolean.
    pub fn bool(&self, name: &str) -> Result<bool> {
        let Scalar::Bool(value) = *self.param(name)? else {
            return Err(wrong_type(name, self.param(name)?, "true or false"));
        };
        self.note(name, Scalar::Bool(value));
        Ok(value)
    }

    /// Read a parameter as a string.
    pub fn str(&self, name: &str) -> Result<&str> {
        let Scalar::Text(value) = self.param(name)? else {
            return Err(wrong_type(name, self.param(name)?, "a string"));
        };
        self.note(name, Scalar::Text(value.clone()));
        Ok(value)
    }

    /// Read a two-dimensional `.npy` file of 64-bit floats in the given order, whatever the file's order is.
    pub fn matrix_f64(&self, name: &str, order: Order) -> Result<Matrix<f64>> {
        self.matrix(name, order)
    }

    /// Read a two-dimensional `.npy` file of 32-bit floats in the given order, whatever the file's order is.
    pub fn matrix_f32(&self, name: &str, order: Order) -> Result<Matrix<f32>> {
        self.matrix(name, order)
    }

    /// Read a table of 64-bit floats and its target, which must have the same number of rows, at least one.
    pub fn table_f64(&self, x: &str, y: &str, order: Order) -> Result<(Matrix<f64>, Vec<f64>)> {
        let (table, target) = (self.matrix_f64(x, order)?, self.vector_f64(y)?);
        if table.rows != target.len() || table.rows == 0 || table.columns == 0 {
            let (rows, columns, length) = (table.rows, table.columns, target.len());
            let what = format!("{x} is {rows} by {columns}, {y} has {length} rows; write both again");
            return Err(Error::invalid(what));
        }
        Ok((table, target))
    }

    /// Read a one-dimensional `.npy` file of 64-bit floats.
    pub fn vector_f64(&self, name: &str) -> Result<Vec<f64>> {
        let (shape, values) = self.array(name)?;
        if shape.len() == 1 { Ok(values) } else { Err(wrong_shape(name, &shape, "one dimension")) }
    }

    /// Read an `.npy` file of 32-bit floats; return its shape and its elements in C order.
    pub fn array_f32(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        self.array(name)
    }

    /// Read an `.npy` file of 64-bit floats; return its shape and its elements in C order.
    pub fn array_f64(&self, name: &str) -> Result<(Vec<usize>, Vec<f64>)> {
        self.array(name)
    }

    /// Read an `.npy` file of 64-bit integers; return its shape and its elements in C order.
    pub fn array_i64(&self, name: &str) -> Result<(Vec<usize>, Vec<i64>)> {
        self.array(name)
    }

    /// Read the named tensors of a `.safetensors` file: 32- and 64-bit floats and 64-bit integers.
    pub fn tensors(&self, name: &str) -> Result<BTreeMap<String, Array>> {
        let tensors = files::read_tensors(&self.bytes(name)?).map_err(|why| in_file(name, &why))?;
        tensors.values().try_for_each(|array| self.check_dtype(name, array.data().dtype()))?;
        Ok(tensors)
    }

    /// Read the bytes of a data file.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let known = || self.message.data.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let path = self.message.data.get(name).ok_or_else(|| {
            Error::invalid(format!(
                "the job has no data file {name:?}; it has: {}; add it to the recipe",
                known()
            ))
        })?;
        let bytes = std::fs::read(path).map_err(|error| in_file(name, &format!("{path}: {error}")))?;
        self.data_read.borrow_mut().insert(name.to_owned(), crate::hex(&Sha256::digest(&bytes)));
        Ok(bytes)
    }

    /// Return what was read, or an error if the implementation ignored the job's variant or device.
    pub(crate) fn into_read(self) -> Result<Read> {
        let message = &self.message;
        if !message.variant.is_empty() && !self.variant_read.get() {
            let what = format!("variant {:?} is not implemented here; leave it out", message.variant);
            return Err(Error::unsupported(what));
        }
        if message.device != "cpu" && !self.device_read.get() {
            let what = format!("device {:?} is not implemented here; use cpu", message.device);
            return Err(Error::unsupported(what));
        }
        Ok(Read { params: self.params_read.into_inner(), data: self.data_read.into_inner() })
    }

    fn matrix<T: Element>(&self, name: &str, order: Order) -> Result<Matrix<T>> {
        self.check_dtype(name, T::DTYPE)?;
        files::read_matrix(&self.bytes(name)?, order).map_err(|why| in_file(name, &why))
    }

    fn array<T: Element>(&self, name: &str) -> Result<(Vec<usize>, Vec<T>)> {
        self.check_dtype(name, T::DTYPE)?;
        files::read_array(&self.bytes(name)?).map_err(|why| in_file(name, &why))
    }

    /// Return an error for floats of another width than the job's; integers go with both.
    fn check_dtype(&self, name: &str, dtype: Option<&str>) -> Result<()> {
        match dtype {
            Some(dtype) if dtype != self.message.dtype => Err(Error::invalid(format!(
                "this implementation reads {name} as {dtype}, but the job's dtype is {:?}; ask for {dtype}",
                self.message.dtype
            ))),
            _ => Ok(()),
        }
    }

    fn param(&self, name: &str) -> Result<&Scalar> {
        let known = || self.message.params.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        self.message.params.get(name).ok_or_else(|| {
            Error::invalid(format!(
                "the job has no parameter {name:?}; it has: {}; add it to the spec",
                known()
            ))
        })
    }

    fn note(&self, name: &str, value: Scalar) {
        self.params_read.borrow_mut().insert(name.to_owned(), value);
    }
}

fn wrong_type(name: &str, value: &Scalar, wanted: &str) -> Error {
    let value = serde_json::to_string(value).unwrap_or_default();
    Error::invalid(format!("parameter {name:?} is {value}; give {wanted}"))
}

fn wrong_shape(name: &str, shape: &[usize], wanted: &str) -> Error {
    Error::invalid(format!("data file {name:?} has the shape {shape:?}; write it with {wanted}"))
}

fn in_file(name: &str, why: &str) -> Error {
    Error::invalid(format!("data file {name:?}: {why}"))
}
