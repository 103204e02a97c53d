//! `network`: bytes received and sent by every interface, from `/proc/net/dev` and `/sys/class/net`.

use serde_json::{Value, json};

use super::interval::Interval;
use super::read;

pub(super) fn stats(interval: &Interval) -> Result<Value, String> {
    Ok(seen(interval, state))
}

/// Whether an interface carries traffic, and its speed in Mbit/s, 0 if it has none.
type State = (bool, u64);

fn seen(interval: &Interval, state: impl Fn(&str) -> State) -> Value {
    let before: Vec<(&str, u64, u64)> = interfaces(&interval.before.net_dev).collect();
    let entry = |(name, received, sent): (&str, u64, u64)| {
        let then = before.iter().find(|then| then.0 == name);
        let (received_then, sent_then) = then.map_or((0, 0), |then| (then.1, then.2));
        let rx = received.saturating_sub(received_then);
        let tx = sent.saturating_sub(sent_then);
        let (is_up, speed) = state(name);
        json!({
            "interface_name": name,
            "alias": null,
            "time_since_update": interval.seconds,
            "cumulative_rx": received,
            "rx": rx,
            "cumulative_tx": sent,
            "tx": tx,
            "cumulative_cx": received.saturating_add(sent),
            "cx": rx.saturating_add(tx),
            "is_up": is_up,
            // Bit/s, with Glances' value of a million.
            "speed": speed.saturating_mul(1_048_576),
            "key": "interface_name",
        })
    };
    interfaces(&interval.now.net_dev).map(entry).collect()
}

/// Name, bytes received, bytes sent.
fn interfaces(net_dev: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    net_dev.lines().filter_map(|line| {
        let (name, counters) = line.rsplit_once(':')?;
        let mut counters = counters.split_ascii_whitespace().map(str::parse);
        Some((name.trim(), counters.next()?.ok()?, counters.nth(7)?.ok()?))
    })
}

fn state(name: &str) -> State {
    let file = |file: &str| read(&format!("/sys/class/net/{name}/{file}")).unwrap_or_default();
    let flags = file("flags");
    let flags = flags.trim().trim_start_matches("0x");
    // IFF_UP is what the administrator configured; the other file says whether it runs (IFF_RUNNING), and
    // is `unknown` for interfaces without a carrier, such as `lo` (RFC 2863).
    let wanted = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 != 0);
    let runs = matches!(file("operstate").trim(), "up" | "unknown");
    // -1, or no value, where there is no speed.
    (wanted && runs, file("speed").trim().parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::interval::{Counters, Interval};
    use super::seen;

    const HEAD: &str = "Inter-|   Receive                            |  Transmit\n \
        face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

    #[test]
    fn interfaces_tell_what_moved_in_the_interval_and_since_the_boot() {
        let counters =
            |text: &str| Counters { net_dev: format!("{HEAD}{text}"), ..Counters::default() };
        let interval = Interval {
            before: counters("    lo:  100 1 0 0 0 0 0 0  200 1 0 0 0 0 0 0\n"),
            now: counters(
                "    lo:  150 1 0 0 0 0 0 0  210 1 0 0 0 0 0 0\neth0.7:5 1 0 0 0 0 0 0  6 1 0 0 0 0 0 0\n",
            ),
            seconds: 2.0,
        };
        let seen = seen(&interval, |name| (name == "lo", 10));
        assert_eq!(
            seen[0].to_string(),
            r#"{"interface_name":"lo","alias":null,"time_since_update":2.0,"cumulative_rx":150,"rx":50,"cumulative_tx":210,"tx":10,"cumulative_cx":360,"cx":60,"is_up":true,"speed":10485760,"key":"interface_name"}"#
        );
        assert_eq!((&seen[1]["interface_name"], &seen[1]["tx"]), (&"eth0.7".into(), &6.into()));
        assert!(seen.get(2).is_none());
    }
}
