"""What every figure is called, its unit, and whether more of it is better. The order is the report's."""

from collections import namedtuple

Metric = namedtuple("Metric", "key title unit more_is_better main")

MORE, LESS = True, False


def handshakes():
    for kind in ("full", "resumed"):
        for version in ("13", "12"):
            for key, spelt in (("p256", "P-256"), ("rsa", "RSA-2048")):
                name = f"{kind} handshakes TLS 1.{version[1]}, {spelt}"
                yield Metric(f"hs.{kind}.{version}.{key}.rate", name, "/s", MORE, True)
                yield Metric(f"hs.{kind}.{version}.{key}.cpu", f"{name}: CPU", "µs", LESS, False)
    name = "full handshakes TLS 1.3, P-256, X25519MLKEM768"
    yield Metric("hs.hybrid.rate", name, "/s", MORE, True)
    yield Metric("hs.hybrid.cpu", f"{name}: CPU", "µs", LESS, True)


def bodies():
    """Answers by size, and long bodies by suite."""
    for size, spelt in ((1 << 10, "1 KiB"), (64 << 10, "64 KiB"), (16 << 20, "16 MiB")):
        yield from loop(f"body.{size}", f"proxied GET of {spelt}", "rate", "cpu")
    suites = {"": "AES-128-GCM", ".aes256": "AES-256-GCM", ".chacha20": "ChaCha20-Poly1305"}
    for suite, spelt in suites.items():
        for mode in ("upload", "download"):
            name = f"{mode}, {spelt}"
            yield Metric(f"{mode}{suite}.cpu", f"{name}, server's CPU", "s/GiB", LESS, True)
            yield Metric(f"{mode}{suite}.rate", f"{name}, speed", "MiB/s", MORE, True)


def loop(key, name, *shown):
    """Figures of a closed loop; those in `shown` belong to the main table."""
    kinds = {
        "rate": ("", "/s", MORE),
        "p50": (", median latency", "ms", LESS),
        "p99": (", p99 latency", "ms", LESS),
        "cpu": (", server's CPU for each", "µs", LESS),
    }
    for kind, (more, unit, better) in kinds.items():
        yield Metric(f"{key}.{kind}", name + more, unit, better, kind in shown)


def all_metrics():
    yield Metric("size", "installed: binary and shared libraries", "MiB", LESS, True)
    yield Metric("start.pss", "memory (PSS) after the start", "MiB", LESS, True)
    yield Metric("start.ms", "exec to first HTTPS answer", "ms", LESS, True)
    yield Metric("start.first.ms", "the same on the first boot ever", "ms", LESS, True)
    for count in (1000, 9000, 10000, 50000):
        name = f"memory (PSS) per idle TLS connection, of {count:,}"
        yield Metric(f"idle.{count}.pss", name, "KiB", LESS, True)
    for count, after in ((1000, "3 s"), (9000, "a minute")):
        name = f"memory (PSS) kept {after} after {count:,} connections have gone"
        yield Metric(f"gone.{count}.pss", name, "MiB", LESS, True)
    where = {"rest": "nobody else there", "idle": "10,000 idle connections there"}
    for what, spelt in (("kept", "kept connection"), ("new", "new connection")):
        for key, state in where.items():
            yield from loop(f"{key}.{what}", f"GET on a {spelt}, {state}", "p50", "p99")
    yield from handshakes()
    yield from loop("own.64", "own answer, 64 connections", "rate", "cpu")
    for count in (1, 64, 512, 4096):
        name = f"proxied GET, {count:,} connection{'s' if count > 1 else ''}"
        yield from loop(f"get.{count}", name, "rate", "p99", "cpu")
    two = {"own": "own answer, 64 connections", "hs": "full handshakes TLS 1.3, P-256"}
    for key, spelt in two.items():
        name = f"two cores: {spelt}"
        yield Metric(f"two.{key}.rate", name, "/s", MORE, True)
        yield Metric(f"two.{key}.cpu", f"{name}, server's CPU for each", "µs", LESS, True)
    for count in (1, 10, 50, 100, 200):
        name = f"WebSocket messages there and back, {count} tunnel{'s' if count > 1 else ''}"
        yield from loop(f"ws.{count}", name, "rate", "p99")
    yield from loop("password.without", "proxied GET, 64 connections, no password", "rate")
    yield from loop("password.with", "the same with a bcrypt cost-12 password", "rate", "p99")
    for where, spelt in (("one", "one address"), ("many", "ever new addresses")):
        name = f"4 connections guess passwords from {spelt}"
        yield from loop(f"unguessed.{where}", f"others' GET before {name}", "p50", "p99")
        yield from loop(f"guessed.{where}", f"others' GET while {name}", "rate", "p50", "p99")
    yield from bodies()
    yield Metric("swap.first_new", "new certificate: first seen after", "ms", LESS, True)
    yield Metric("swap.last_old", "old certificate: last seen after", "ms", LESS, True)
    yield Metric("swap.failed", "requests cut by the change, of 1,600", "", LESS, True)
    yield Metric("swap.reopened", "idle connections closed by it, of 10", "", LESS, True)
    for kind, spelt in (("handshake", "stalled handshakes"), ("head", "half-sent heads")):
        # Whoever hangs up on them sooner has less to bear: no ratio of good and bad.
        name = f"10,000 {spelt}: still there at the end"
        yield Metric(f"stalled.{kind}.held", name, "", None, False)
        for what, how in (("kept", "kept connection"), ("new", "new connection")):
            for key, state in (("unstalled", "before"), ("stalled", "during")):
                name = f"GET on a {how}, {state} 10,000 {spelt}"
                yield from loop(f"{key}.{kind}.{what}", name, "p50", "p99")


METRICS = list(all_metrics())
