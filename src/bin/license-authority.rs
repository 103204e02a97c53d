//! The doorbell: hands the command line to [`applianced::authority::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    applianced::authority::cli::run(std::env::args_os().skip(1).collect())
}
