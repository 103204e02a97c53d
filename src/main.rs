//! Hands the command line to [`applianced::appliance`].

use std::process::ExitCode;

// musl's allocator stays, though others answer a request in a tenth less time: it gives memory back after a crowd.
fn main() -> ExitCode {
    applianced::appliance(std::env::args_os().skip(1).collect())
}
