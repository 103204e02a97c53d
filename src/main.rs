//! Hands the command line to [`applianced::appliance`].

use std::process::ExitCode;

// musl's allocator stays, because it gives memory back: of 5,000 connections that have gone it keeps 0.3 MiB, dlmalloc
// 0.2.14 33 MiB. mimalloc 3 takes 8 MiB more from the start. Neither answers a request in less than 0.9 of the time.
fn main() -> ExitCode {
    applianced::appliance(std::env::args_os().skip(1).collect())
}
