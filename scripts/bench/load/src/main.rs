//! Load generator and probe: one command for each way of asking. Answers are one JSON object on
//! standard output; a run that can't be made says why on standard error and exits 1.

mod arguments;
mod blocking;
mod bulk;
mod closed_loop;
mod hold;
mod http;
mod kx;
mod meter;
mod startup;
mod swap;
mod tls;

use std::process::ExitCode;

use arguments::Arguments;
use closed_loop::Kind;

const USAGE: &str = "usage: load get|handshake|tunnel|check|upload|download|hold|startup|swap \
                     --port PORT [--path /x] [--connections N] [--secs S] …";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let arguments = Arguments::parse(words.get(1..).unwrap_or_default());
    let outcome = match words.first().map(String::as_str) {
        Some("get") => closed_loop::run(&arguments, Kind::Get),
        Some("handshake") => closed_loop::run(&arguments, Kind::Handshake),
        Some("tunnel") => closed_loop::run(&arguments, Kind::Tunnel),
        Some("upload") => bulk::run(&arguments, true),
        Some("download") => bulk::run(&arguments, false),
        Some("hold") => hold::run(&arguments),
        Some("startup") => startup::run(&arguments),
        Some("swap") => swap::run(&arguments),
        Some("check") => check(&arguments),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

/// One GET: is its status `--status`?
fn check(arguments: &Arguments) -> Result<(), String> {
    let wanted: u16 = arguments.number("status", 200);
    let status = blocking::open(arguments.number("port", 0), &tls::config(arguments, false), 4096)
        .and_then(|mut tls| blocking::exchange(&mut tls, &http::get(arguments, true, 0)))
        .map_err(|e| e.to_string())?;
    if status == wanted { Ok(()) } else { Err(format!("status {status}, not {wanted}")) }
}
