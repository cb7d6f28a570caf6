//! The process around a worker: a private way out for replies, and an end when the driver ends.
//!
//! Not for what is said: `serve` knows the protocol.

use std::fs::File;
use std::io;

/// Take standard output for the protocol alone: whatever a library prints goes to standard error from now on.
#[cfg(unix)]
pub(crate) fn take_stdout() -> io::Result<File> {
    let private = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(File::from(private))
}

/// Die with the driver, and say whether it is still there: it may have gone before this was arranged.
#[cfg(target_os = "linux")]
pub(crate) fn bind_to_parent() -> io::Result<bool> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let before = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(before == getppid())
}

/// Elsewhere the end of standard input has to do.
#[cfg(not(target_os = "linux"))]
pub(crate) fn bind_to_parent() -> io::Result<bool> {
    Ok(true)
}
