//! Embeds what the worker was built from.

fn main() {
    duet_build::embed(&["../../duet-worker", "../../rooms"]);
}
