//! The digest of source folders, by which a driver detects a stale worker.
//!
//! It ignores modification times, which neither cargo nor a copied tree preserves reliably.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Folders that do not affect a binary: tests and their vectors, build outputs, Python's byte code.
const EXCLUDED: [&str; 4] = ["tests", "testdata", "target", "__pycache__"];

/// The digest of a set of folders, and the paths that it depends on.
#[derive(Debug)]
pub struct Digest {
    /// SHA-256 in hex.
    pub sha256: String,
    /// Every file and folder in the digest, for `rerun-if-changed`.
    pub watched: Vec<PathBuf>,
}

/// Return the digest of all files below `folders`: in the order of labels (`<folder's name>/<path inside>`, by bytes) the label,
/// NUL, the length in decimal, NUL, the bytes.
///
/// Hidden files and folders and those named `tests`, `testdata`, `target` or `__pycache__` are skipped.
pub fn digest_folders(folders: &[PathBuf]) -> io::Result<Digest> {
    let mut files = Vec::new();
    let mut watched = Vec::new();
    for folder in folders {
        let folder = folder.canonicalize()?;
        let label = name_of(&folder)?;
        collect(&folder, &label, &mut files, &mut watched)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for (label, path) in &files {
        let bytes = fs::read(path)?;
        hash.update(label.as_bytes());
        hash.update(format!("\0{}\0", bytes.len()));
        hash.update(&bytes);
    }
    Ok(Digest { sha256: hex(&hash.finalize()), watched })
}

/// Return the SHA-256 of `bytes` in hex.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn collect(
    folder: &Path,
    label: &str,
    files: &mut Vec<(String, PathBuf)>,
    watched: &mut Vec<PathBuf>,
) -> io::Result<()> {
    watched.push(folder.to_owned());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = name_of(&path)?;
        if name.starts_with('.') || EXCLUDED.contains(&name.as_str()) {
            continue;
        }
        let label = format!("{label}/{name}");
        if path.is_dir() {
            collect(&path, &label, files, watched)?;
        } else {
            watched.push(path.clone());
            files.push((label, path));
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> io::Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        let message = format!("{}: the name is not UTF-8; rename it", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_vector_has_the_expected_digest() {
        let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata");
        let vector = fs::read_to_string(testdata.join("source_digest.json")).unwrap();
        let tree = testdata.join("source_tree");
        let digest = digest_folders(&[tree.join("linfa"), tree.join("duet-worker")]).unwrap();
        // Searching the vector as a string avoids a JSON parser in every build.
        assert!(vector.contains(&format!("\"{}\"", digest.sha256)), "{} is not in {vector}", digest.sha256);
    }

    #[test]
    fn the_order_of_the_folders_does_not_matter() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/source_tree");
        let one = digest_folders(&[tree.join("linfa"), tree.join("duet-worker")]).unwrap();
        let other = digest_folders(&[tree.join("duet-worker"), tree.join("linfa")]).unwrap();
        assert_eq!(one.sha256, other.sha256);
    }

    #[test]
    fn hex_keeps_leading_zeros() {
        assert_eq!("000fff", hex(&[0, 15, 255]));
    }
}
