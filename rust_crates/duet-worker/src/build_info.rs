//! The worker's build information and the features of the CPU that it runs on.

use std::collections::BTreeMap;

use crate::protocol::Features;

/// The build information that `duet_build::embed` wrote into the program; [`build_info!`](crate::build_info) returns it.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the driver's hello reply explains each")]
pub struct BuildInfo {
    pub source_digest: &'static str,
    pub lock_digest: &'static str,
    pub compiler: &'static str,
    pub profile: &'static str,
    pub features: &'static str,
    pub dependencies: &'static str,
}

/// Return the [`BuildInfo`] of the calling crate, whose build script must call `duet_build::embed`.
#[macro_export]
macro_rules! build_info {
    () => {
        $crate::BuildInfo {
            source_digest: env!("DUET_SOURCE_DIGEST", "call duet_build::embed in build.rs"),
            lock_digest: env!("DUET_LOCK_DIGEST", "call duet_build::embed in build.rs"),
            compiler: env!("DUET_COMPILER", "call duet_build::embed in build.rs"),
            profile: if cfg!(debug_assertions) { "debug" } else { env!("DUET_PROFILE") },
            features: env!("DUET_FEATURES", "call duet_build::embed in build.rs"),
            dependencies: env!("DUET_DEPENDENCIES", "call duet_build::embed in build.rs"),
        }
    };
}

impl BuildInfo {
    pub(crate) fn features(&self) -> Features {
        Features { detected: detected(), compiled: split(self.features).map(str::to_owned).collect() }
    }

    pub(crate) fn versions(&self) -> BTreeMap<String, String> {
        let pairs = split(self.dependencies).filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, version)| (name.to_owned(), version.to_owned())).collect()
    }
}

fn split(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(',').filter(|word| !word.is_empty())
}

#[cfg(target_arch = "x86_64")]
fn detected() -> Vec<String> {
    let known = [
        ("sse4.2", std::is_x86_feature_detected!("sse4.2")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ];
    known.iter().filter(|(_, found)| *found).map(|(name, _)| (*name).to_owned()).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> Vec<String> {
    Vec::new()
}
