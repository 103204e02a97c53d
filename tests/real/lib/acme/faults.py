"""What an authority can do wrong before it looks at a request, by the name of the fault."""

import time

PREFIX = "urn:ietf:params:acme:error:"
UNREACHABLE = {
    "type": f"{PREFIX}connection",
    "detail": "10.77.0.99: no route to the appliance",
    "status": 400,
    "subproblems": [
        {
            "type": f"{PREFIX}caa",
            "detail": "CAA record of acme.test forbids it",
            "identifier": {"type": "dns", "value": "acme.test"},
        }
    ],
}
LIMITED = {"type": f"{PREFIX}rateLimited", "detail": "too many certificates for acme.test", "status": 429}
BAD_NONCE = {"type": f"{PREFIX}badNonce", "detail": "this nonce is old", "status": 400}
# How long a body without an end goes on where nobody hangs up.
ENDLESS_SECONDS = 60


def before(authority, method, path):
    """The wrong answer, or None where this request gets a right one."""
    fault = authority.fault
    if path == "/directory":
        return {
            "redirect": (302, {"Location": authority.directory}, ""),
            "endless": (200, {}, _endless),
            "garbage": (200, {}, '{"newNonce": https://'),
        }.get(fault)
    if method != "POST":
        return None
    if fault == "bad nonce":
        return 400, {}, BAD_NONCE
    if path == "/order":
        if fault == "bad nonce once":
            authority.fault = None
            return 400, {}, BAD_NONCE
        return {
            "rate limited": (429, {"Retry-After": "7200"}, LIMITED),
            "500": (500, {"Content-Type": "text/html"}, "<h1>Internal Server Error</h1>"),
        }.get(fault)
    return None


def _endless(stream):
    """A directory that never ends."""
    stream.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{")
    end = time.monotonic() + ENDLESS_SECONDS
    while time.monotonic() < end:
        stream.write(b" " * 16_384)
