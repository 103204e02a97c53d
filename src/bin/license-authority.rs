//! Hands the command line to [`applianced::license_authority`].

use std::process::ExitCode;

fn main() -> ExitCode {
    applianced::license_authority(std::env::args_os().skip(1).collect())
}
