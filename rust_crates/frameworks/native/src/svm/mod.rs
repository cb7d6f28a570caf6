//! Support vector machines: jobs and outputs of the solvers in `smo` and `linear`.

mod kernel;
mod linear;
mod machine;
mod smo;

use duet_worker::{Array, Call, Error, Implementation, Job, Matrix, Order, Outputs, Registry, Result};

use crate::vector::Vectors;
use linear::{Form, Plane};
use machine::{Bound, Machine, Settings};

/// Register every machine.
pub fn register(registry: &mut Registry) {
    for algorithm in ["svc", "nu_svc"] {
        registry.add("svm", algorithm, "train", train);
        registry.add("svm", algorithm, "predict", predict);
    }
    registry.add("svm", "linear_svc", "train", train_linear);
    registry.add("svm", "linear_svc", "predict", predict_linear);
}

/// The training data; classes are numbered from 0.
struct Table {
    x: Matrix<f64>,
    classes: Vec<usize>,
}

impl Table {
    fn read(job: &Job) -> Result<Self> {
        let x = job.matrix_f64("X_train", Order::C)?;
        let (shape, classes) = job.array_i64("y_train")?;
        if shape != [x.rows] || x.columns == 0 {
            let what = format!(
                "X_train is {} by {}, y_train has shape {shape:?}; write both again",
                x.rows, x.columns
            );
            return Err(Error::invalid(what));
        }
        let classes: Vec<usize> = classes.into_iter().map(usize::try_from).collect::<Result<_, _>>()?;
        let count = classes.iter().max().map_or(0, |last| last + 1);
        match (0..count).find(|class| !classes.contains(class)) {
            Some(missing) => {
                Err(Error::invalid(format!("y_train has no class {missing}; number them from 0")))
            }
            None if count < 2 => Err(Error::invalid("y_train has one class; give at least two")),
            None => Ok(Self { x, classes }),
        }
    }
}

/// Read the rows to predict, which must have the same number of columns as `table`.
fn test_rows(job: &Job, table: &Table) -> Result<Matrix<f64>> {
    let x = job.matrix_f64("X_test", Order::C)?;
    if x.columns == table.x.columns {
        return Ok(x);
    }
    Err(Error::invalid("X_test and X_train have different numbers of columns; write both again"))
}

fn settings(job: &Job) -> Result<Settings> {
    let bound = if job.algorithm() == "svc" { Bound::C(job.f64("C")?) } else { Bound::Nu(job.f64("nu")?) };
    let gamma = job.vector_f64("gamma")?;
    let [gamma] = gamma[..] else {
        return Err(Error::invalid(format!("gamma has {} values; write one", gamma.len())));
    };
    let (tolerance, cache_mb) = (job.f64("tol")?, job.f64("cache_mb")?);
    Ok(Settings { bound, gamma, tolerance, cache_mb, threads: job.threads() })
}

fn train(job: &Job) -> Result<impl Implementation + use<>> {
    let (table, settings, vectors) = (Table::read(job)?, settings(job)?, Vectors::detect());
    let x_test = test_rows(job, &table)?;
    let rows = table.classes.len();
    let run = move || Machine::fit(&table.x, &table.classes, settings, vectors);
    let outputs = move |machine: &Machine| {
        let pairs = machine.intercepts.len();
        let decision = machine.decisions(&x_test, 1, vectors);
        Ok(Outputs::new()
            .array("dual", Array::shaped(machine.dual(rows), &[pairs, rows])?)
            .array("intercept", machine.intercepts.clone())
            .array("decision", Array::shaped(decision, &[x_test.rows, pairs])?)
            .iterations(machine.iterations)
            .converged(true))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}

fn predict(job: &Job) -> Result<impl Implementation + use<>> {
    let (table, settings, vectors) = (Table::read(job)?, settings(job)?, Vectors::detect());
    let machine = Machine::fit(&table.x, &table.classes, settings, vectors)?;
    let x = test_rows(job, &table)?;
    let rows = x.rows;
    let run = move || Ok(machine.predict(&x, settings.threads, vectors));
    let outputs = |classes: &Vec<usize>| {
        let label: Vec<i64> = classes.iter().map(|&class| i64::try_from(class)).collect::<Result<_, _>>()?;
        Ok(Outputs::new().array("label", label))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}

fn linear_settings(job: &Job, form: Form) -> Result<linear::Settings> {
    Ok(linear::Settings {
        form,
        cost: job.f64("C")?,
        tolerance: job.f64("tol")?,
        max_iterations: job.u64("max_iterations")?,
        seed: job.seed(),
    })
}

fn two_classes(table: &Table) -> Result<Vec<f64>> {
    if table.classes.iter().any(|&class| class > 1) {
        let what =
            "y_train has more than two classes; linear_svc is implemented here for two only, so give two";
        return Err(Error::unsupported(what));
    }
    Ok(table.classes.iter().map(|&class| if class == 1 { 1.0 } else { -1.0 }).collect())
}

fn train_linear(job: &Job) -> Result<impl Implementation + use<>> {
    let form = if job.variant(&["", "dual"])? == "dual" { Form::Dual } else { Form::Primal };
    let (table, vectors) = (Table::read(job)?, Vectors::detect());
    let (signs, settings) = (two_classes(&table)?, linear_settings(job, form)?);
    let rows = signs.len();
    let run = move || linear::fit(&table.x, &signs, settings, vectors);
    let outputs = |plane: &Plane| {
        Ok(Outputs::new()
            .array("coef", plane.coef.clone())
            .array("intercept", vec![plane.intercept])
            .iterations(plane.iterations)
            .converged(plane.converged))
    };
    Ok(Call::new(run, outputs).work("samples", rows))
}

fn predict_linear(job: &Job) -> Result<impl Implementation + use<>> {
    let (table, vectors) = (Table::read(job)?, Vectors::detect());
    let plane = linear::fit(&table.x, &two_classes(&table)?, linear_settings(job, Form::Primal)?, vectors)?;
    let x = test_rows(job, &table)?;
    let rows = x.rows;
    let run = move || {
        let decisions = vectors.affine(&x.data, &plane.coef, plane.intercept);
        Ok(decisions.into_iter().map(|decision| i64::from(decision > 0.0)).collect())
    };
    let outputs = |label: &Vec<i64>| Ok(Outputs::new().array("label", label.clone()));
    Ok(Call::new(run, outputs).work("samples", rows))
}
