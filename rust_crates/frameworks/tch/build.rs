//! Embeds the worker's build information, and the path and version of the libtorch that it is linked to.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    duet_build::embed(&["../../duet-worker", "../../task-support"]);
    let library = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys gives libtorch's folder"));
    // The worker finds the libtorch that it was built with, whatever the environment says.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", library.display());
    let version = library.parent().expect("libtorch's folder has a parent").join("version.py");
    println!("cargo:rerun-if-changed={}", version.display());
    println!("cargo:rustc-env=DUET_TORCH_VERSION={}", assigned(&version, "__version__"));
    println!("cargo:rustc-env=DUET_TORCH_GIT={}", assigned(&version, "git_version"));
}

/// Return the string assigned to `name` in a Python file, or `unknown` if there is none, as in a libtorch without PyTorch.
fn assigned(path: &Path, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
    value.map_or("unknown", |value| value.trim().trim_matches(['\'', '"'])).to_owned()
}
