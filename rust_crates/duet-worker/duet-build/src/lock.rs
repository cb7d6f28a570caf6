//! What the lock file says about a package: which versions of its direct dependencies were resolved.
//!
//! Not for resolving: cargo has done that.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// The harness's own crates: their sources are in the source digest, so a version would say less.
const OWN_PREFIX: &str = "duet-";

/// Read a TOML file whole.
///
/// # Panics
///
/// When it cannot be read or parsed; cargo has read it just before.
pub fn read_toml(path: &Path) -> Table {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()))
}

/// Return the lock file of the workspace that `package` belongs to: beside the workspace root that its manifest names,
/// or in the nearest folder above.
pub fn find(package: &Path, manifest: &Table) -> Option<PathBuf> {
    let named = manifest.get("package").and_then(|table| table.get("workspace")).and_then(Value::as_str);
    let start = named.map_or_else(|| package.to_owned(), |root| package.join(root));
    start.ancestors().map(|folder| folder.join("Cargo.lock")).find(|path| path.is_file())
}

/// Return `name=version` of every direct dependency of `package`, sorted, the harness's own left out.
pub fn direct_dependencies(manifest: &Table, lock: &Table, package: &str) -> Vec<String> {
    let Some(wanted) = manifest.get("dependencies").and_then(Value::as_table) else {
        return Vec::new();
    };
    let locked = locked_packages(lock);
    let resolved = locked.iter().find(|(name, _, _)| *name == package).map(|(_, _, uses)| uses.clone());
    let mut found: Vec<String> = resolved
        .unwrap_or_default()
        .iter()
        .filter_map(|dependency| {
            // The lock file adds the version where several are locked: "ndarray 0.16.1".
            let mut words = dependency.split(' ');
            let name = words.next()?;
            let only =
                || locked.iter().find(|(locked, _, _)| *locked == name).map(|(_, version, _)| *version);
            let version = words.next().or_else(only)?;
            (wants(wanted, name) && !name.starts_with(OWN_PREFIX)).then(|| format!("{name}={version}"))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Return whether `dependencies` names the package, under its own name or by a rename.
fn wants(dependencies: &Table, package: &str) -> bool {
    let renamed = |value: &Value| value.get("package").and_then(Value::as_str) == Some(package);
    dependencies.contains_key(package) || dependencies.values().any(renamed)
}

fn locked_packages(lock: &Table) -> Vec<(&str, &str, Vec<&str>)> {
    let packages = lock.get("package").and_then(Value::as_array);
    let text = |table: &Value, key: &str| table.get(key).and_then(Value::as_str).map(str::len).is_some();
    packages
        .into_iter()
        .flatten()
        .filter(|table| text(table, "name") && text(table, "version"))
        .map(|table| {
            let uses = table.get("dependencies").and_then(Value::as_array);
            let uses = uses.into_iter().flatten().filter_map(Value::as_str).collect();
            (table["name"].as_str().unwrap_or_default(), table["version"].as_str().unwrap_or_default(), uses)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        [[package]]
        name = "mine"
        version = "0.1.0"
        dependencies = ["duet-worker", "ndarray 0.16.1", "linfa", "tempfile"]
        [[package]]
        name = "linfa"
        version = "0.8.1"
        [[package]]
        name = "tempfile"
        version = "3.0.0"
        [[package]]
        name = "ndarray"
        version = "0.17.0"
    "#;

    #[test]
    fn direct_dependencies_are_those_of_the_manifest_in_the_locked_version() {
        let manifest: Table = r#"
            [dependencies]
            duet-worker = "0.1"
            arrays = { package = "ndarray", version = "0.16" }
            linfa = "0.8"
            [dev-dependencies]
            tempfile = "3"
        "#
        .parse()
        .unwrap();
        let found = direct_dependencies(&manifest, &LOCK.parse().unwrap(), "mine");
        assert_eq!(vec!["linfa=0.8.1", "ndarray=0.16.1"], found);
    }

    #[test]
    fn a_package_without_dependencies_has_none() {
        let found = direct_dependencies(&Table::new(), &LOCK.parse().unwrap(), "mine");
        assert!(found.is_empty());
    }

    #[test]
    fn the_lock_file_of_a_named_workspace_is_found() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let manifest: Table = "[package]\nworkspace = \"..\"".parse().unwrap();
        assert!(find(own, &manifest).is_some_and(|path| path.ends_with("Cargo.lock")));
    }
}
