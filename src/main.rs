//! The doorbell: hands the command line to [`applianced::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    applianced::cli::run(std::env::args_os().skip(1).collect())
}
