//! Embeds the worker's build information.

fn main() {
    duet_build::embed(&["../../duet-worker"]);
}
