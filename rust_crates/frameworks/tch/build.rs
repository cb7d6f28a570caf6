//! Embeds what the worker was built from, and where and which libtorch it was linked to.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    duet_build::embed(&["../../duet-worker", "../../rooms"]);
    let library = PathBuf::from(env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys names libtorch's folder"));
    // The worker finds the libtorch that it was built with by itself, whatever the environment says.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", library.display());
    let version = library.parent().expect("libtorch's folder has a parent").join("version.py");
    println!("cargo:rerun-if-changed={}", version.display());
    println!("cargo:rustc-env=DUET_TORCH_VERSION={}", assigned(&version, "__version__"));
    println!("cargo:rustc-env=DUET_TORCH_GIT={}", assigned(&version, "git_version"));
}

/// Return the text that `name` is assigned in a Python file, or `unknown`: a libtorch that is no part of PyTorch has none.
fn assigned(path: &Path, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
    value.map_or("unknown", |value| value.trim().trim_matches(['\'', '"'])).to_owned()
}
