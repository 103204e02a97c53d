//! Bodies larger than the memory the appliance may take for them.

use sha2::{Digest, Sha256};

use crate::support::appliance::Appliance;
use crate::support::certificates::hexadecimal;
use crate::support::settings::Settings;
use crate::support::stub::{Stub, field, ok};

const SIZE: usize = 64 << 20;

/// KiB of memory the daemon may have had at its worst.
const PEAK: u64 = 16 << 10;

/// Bytes that repeat for no buffer.
fn content() -> Vec<u8> {
    let mut seed = 1_u64;
    let mut content = Vec::with_capacity(SIZE);
    while content.len() < SIZE {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend(seed.to_be_bytes());
    }
    content
}

#[test]
fn sixty_four_mebibytes_go_up_and_come_down_through_tls_in_little_memory() {
    let stub = Stub::start(|visit| {
        while let Some(head) = visit.head() {
            if head.starts_with("GET") {
                visit.say(format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n").as_bytes());
                visit.say(&content());
                continue;
            }
            if field(&head, "expect").is_some() {
                visit.say(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            let mut hash = Sha256::new();
            let mut left: usize = match field(&head, "content-length") {
                Some(length) => length.parse().unwrap(),
                None => 0,
            };
            while left > 0 {
                let piece = visit.bytes(left.min(64 << 10)).unwrap();
                hash.update(&piece);
                left -= piece.len();
            }
            if field(&head, "transfer-encoding").is_some() {
                loop {
                    let line = visit.through(b"\r\n").unwrap();
                    let size = std::str::from_utf8(&line).unwrap().trim_end();
                    let size = usize::from_str_radix(size, 16).unwrap();
                    let piece = visit.bytes(size + 2).unwrap();
                    if size == 0 {
                        break;
                    }
                    hash.update(&piece[..size]);
                }
            }
            let sum: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            let length = sum.len();
            visit.say(ok("").replace("Length: 0", &format!("Length: {length}")).as_bytes());
            visit.say(sum.as_bytes());
        }
    });
    let appliance = Appliance::start(&Settings::both().speech(stub.address));
    let content = content();
    let sum = hexadecimal(&content);
    let (file, received) = (appliance.folder().join("audio"), appliance.folder().join("received"));
    std::fs::write(&file, &content).unwrap();
    let url = appliance.https("/v2/jobs/");
    let whole = format!("@{}", file.display());

    let up = appliance.curl(&["--data-binary", &whole, &url]).ok();
    assert_eq!(up.out, sum, "of known length");
    let chunked =
        ["-X", "POST", "-H", "Transfer-Encoding: chunked", "-T", file.to_str().unwrap(), &url];
    assert_eq!(appliance.curl(&chunked).ok().out, sum, "in chunks");
    appliance.curl(&["-o", received.to_str().unwrap(), &url]).ok();
    assert_eq!(hexadecimal(&std::fs::read(&received).unwrap()), sum, "down");

    let peak = appliance.memory("VmHWM");
    assert!(peak < PEAK, "the daemon took {peak} KiB");
}
