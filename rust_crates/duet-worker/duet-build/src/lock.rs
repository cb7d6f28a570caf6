//! The lock file: the resolved versions of a package's direct dependencies.

use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Read a TOML file whole.
///
/// # Panics
///
/// If it cannot be read or parsed, although cargo has just read it.
pub fn read_toml(path: &Path) -> Table {
    let text =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("cannot parse {}: {error}", path.display()))
}

/// Return the lock file of the workspace of `package`: beside the workspace root that its manifest names, or in the nearest
/// folder above.
pub fn find(package: &Path, manifest: &Table) -> Option<PathBuf> {
    let named = manifest.get("package").and_then(|table| table.get("workspace")).and_then(Value::as_str);
    let start = named.map_or_else(|| package.to_owned(), |root| package.join(root));
    start.ancestors().map(|folder| folder.join("Cargo.lock")).find(|path| path.is_file())
}

/// Return `name=version` of every direct dependency of `package` that comes from a registry or repository, sorted.
///
/// Crates of the same tree are left out: the source digest covers them.
pub fn direct_dependencies(manifest: &Table, lock: &Table, package: &str) -> Vec<String> {
    let Some(wanted) = manifest.get("dependencies").and_then(Value::as_table) else {
        return Vec::new();
    };
    let locked = locked_packages(lock);
    let resolved = locked.iter().find(|locked| locked.name == package);
    let mut found: Vec<String> = resolved
        .map_or(&[][..], |package| &package.dependencies)
        .iter()
        .filter_map(|dependency| {
            // If several versions are locked, the lock file adds the version: "ndarray 0.16.1".
            let (name, version) =
                dependency.split_once(' ').map_or((*dependency, None), |(name, rest)| (name, Some(rest)));
            // A third word is the source.
            let version = version.and_then(|rest| rest.split(' ').next());
            let locked = locked.iter().find(|locked| {
                locked.name == name && version.is_none_or(|version| locked.version == version)
            })?;
            (wants(wanted, name) && locked.has_source).then(|| format!("{name}={}", locked.version))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Return whether `dependencies` names the package, under its own name or a new one.
fn wants(dependencies: &Table, package: &str) -> bool {
    let renamed = |value: &Value| value.get("package").and_then(Value::as_str) == Some(package);
    dependencies.contains_key(package) || dependencies.values().any(renamed)
}

/// A package of the lock file.
struct Locked<'lock> {
    name: &'lock str,
    version: &'lock str,
    /// Whether it comes from a registry or repository instead of the same tree.
    has_source: bool,
    dependencies: Vec<&'lock str>,
}

fn locked_packages(lock: &Table) -> Vec<Locked<'_>> {
    let packages = lock.get("package").and_then(Value::as_array);
    let locked = packages.into_iter().flatten().filter_map(|table| {
        let string = |key: &str| table.get(key).and_then(Value::as_str);
        let dependencies = table.get("dependencies").and_then(Value::as_array);
        Some(Locked {
            name: string("name")?,
            version: string("version")?,
            has_source: string("source").is_some(),
            dependencies: dependencies.into_iter().flatten().filter_map(Value::as_str).collect(),
        })
    });
    locked.collect()
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
        name = "duet-worker"
        version = "0.1.0"
        [[package]]
        name = "linfa"
        version = "0.8.1"
        source = "registry"
        [[package]]
        name = "tempfile"
        version = "3.0.0"
        source = "registry"
        [[package]]
        name = "ndarray"
        version = "0.16.1"
        source = "registry"
        [[package]]
        name = "ndarray"
        version = "0.17.0"
        source = "registry"
    "#;

    #[test]
    fn direct_dependencies_have_the_locked_version_and_leave_out_the_same_tree() {
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
