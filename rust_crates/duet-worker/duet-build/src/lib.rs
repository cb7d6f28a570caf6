//! The build-script counterpart of `duet-worker`: embeds the build information that a worker reports.
//!
//! A worker's `build.rs` is one call:
//!
//! ```no_run
//! # #[allow(clippy::needless_doctest_main)]
//! fn main() {
//!     duet_build::embed(&["../../duet-worker"]);
//! }
//! ```
//!
//! The digest covers the worker's own folder and the named ones, because a change in any of them changes the worker. The program
//! reads what is embedded through `duet_worker::build_info!()`.

mod digest;
mod lock;

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use digest::{Digest, digest_folders};

/// Embed the digest of the package's own folder and of `also` (relative to it), its lock file's digest, its direct
/// dependencies, the compiler and the profile.
///
/// # Panics
///
/// If a folder or the manifest cannot be read, because a worker without its build information must not be built.
pub fn embed(also: &[&str]) {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let mut folders = vec![own.clone()];
    folders.extend(also.iter().map(|folder| own.join(folder)));
    let digest =
        digest_folders(&folders).unwrap_or_else(|error| panic!("cannot digest {folders:?}: {error}"));
    for path in &digest.watched {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    set("SOURCE_DIGEST", &digest.sha256);
    embed_lock(&own);
    set("COMPILER", &compiler());
    let optimised = variable("PROFILE") == "release" && variable("OPT_LEVEL") != "0";
    set("PROFILE", if optimised { "release" } else { "debug" });
    set("FEATURES", &env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default());
}

/// Embed the lock file's digest and the versions in it; both are empty if there is no lock file.
fn embed_lock(own: &Path) {
    let manifest = lock::read_toml(&own.join("Cargo.toml"));
    let Some(path) = lock::find(own, &manifest) else {
        set("LOCK_DIGEST", "");
        set("DEPENDENCIES", "");
        return;
    };
    println!("cargo:rerun-if-changed={}", path.display());
    let bytes =
        std::fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    set("LOCK_DIGEST", &digest::sha256_hex(&bytes));
    let versions = lock::direct_dependencies(&manifest, &lock::read_toml(&path), &variable("CARGO_PKG_NAME"));
    set("DEPENDENCIES", &versions.join(","));
}

fn compiler() -> String {
    let output = Command::new(variable("RUSTC")).arg("-V").output().expect("cannot run rustc -V");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: call duet_build::embed from a build script"))
}

fn set(name: &str, value: &str) {
    println!("cargo:rustc-env=DUET_{name}={value}");
}
