//! Large bodies, one after the other on one connection: `upload` and `download`.

use std::io::{self, Write};

use crate::arguments::Arguments;
use crate::blocking::{exchange, open, read_answer};
use crate::http;
use crate::meter::Meter;
use crate::tls;

/// Sends (or fetches) `--bytes` for `--count` times; prints JSON.
pub(crate) fn run(arguments: &Arguments, upload: bool) -> Result<(), String> {
    let bytes: u64 = arguments.number("bytes", 256 << 20);
    let count: u64 = arguments.number("count", 4);
    let work = || -> io::Result<String> {
        let config = tls::config(arguments, false);
        let mut tls = open(arguments.number("port", 0), &config, 256 << 10)?;
        wanted(exchange(&mut tls, &http::get(arguments, false, 0))?)?;
        let chunk = vec![b'x'; 128 << 10];
        let meter = Meter::start(arguments);
        for _ in 0..count {
            if upload {
                tls.write_all(&http::post("/api/sink", bytes))?;
                let mut left = bytes;
                while left > 0 {
                    let n = left.min(chunk.len() as u64);
                    tls.write_all(&chunk[..n as usize])?;
                    left -= n;
                }
                tls.flush()?;
                wanted(read_answer(&mut tls)?)?;
            } else {
                let request =
                    format!("GET /api/bytes/{bytes} HTTP/1.1\r\nHost: bench.test\r\n\r\n");
                wanted(exchange(&mut tls, request.as_bytes())?)?;
            }
        }
        Ok(meter.json())
    };
    let used = work().map_err(|e| e.to_string())?;
    println!("{{\"bytes\":{},{used}}}", bytes * count);
    Ok(())
}

fn wanted(status: u16) -> io::Result<()> {
    if status == 200 { Ok(()) } else { Err(io::Error::other(format!("status {status}"))) }
}
