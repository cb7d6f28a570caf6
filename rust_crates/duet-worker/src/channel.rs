//! The worker's process: a private stream for replies, and its end when the driver ends.

use std::fs::File;
use std::io;

/// Reserve standard output for the protocol and redirect everything else that is printed to standard error.
#[cfg(unix)]
pub(crate) fn take_stdout() -> io::Result<File> {
    let private = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(File::from(private))
}

/// Arrange that the process dies with the driver; return whether the driver is still alive after that.
#[cfg(target_os = "linux")]
pub(crate) fn bind_to_parent() -> io::Result<bool> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let before = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(before == getppid())
}

/// Return true: on other systems only the end of standard input ends the worker.
#[cfg(not(target_os = "linux"))]
pub(crate) fn bind_to_parent() -> io::Result<bool> {
    Ok(true)
}
