"""What strangers do to the appliance: each function attacks for some seconds and lets go."""

import base64
import contextlib
import itertools
import os
import selectors
import socket
import ssl
import time

from lib.report import expect

# How long an attack that is complete goes on, so that honest clients get their measure of it: forty requests
# a second each, and the hundredth part of them is the p99.
SECONDS = 25 if os.environ.get("FULL") else 6

# Bytes of memory that some attacks leave to the appliance.
SMALL_MEMORY = 256 << 20

_sources = itertools.count(1)


def over_and_over(times):
    """Counts on: so many times, and on for as long as an attack takes."""
    end = time.monotonic() + SECONDS
    for number in itertools.count(1):
        yield number
        if number >= times and time.monotonic() > end:
            return


def source():
    """All of 127.0.0.0/8 is this machine."""
    number = next(_sources)
    return f"127.{100 + number // 62_500 % 100}.{number // 250 % 250}.{1 + number % 250}"


def connect(port, room=None):
    """A connection from an address of its own, with room for so many bytes either way; None if it is refused."""
    client = socket.socket()
    client.settimeout(20)
    if room:
        for way in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            client.setsockopt(socket.SOL_SOCKET, way, room)
    try:
        client.bind((source(), 0))
        client.connect(("127.0.0.1", port))
    except OSError:
        client.close()
        return None
    return client


@contextlib.contextmanager
def crowd(port, count, words=b"", room=None):
    """So many connections, each with these bytes sent."""
    clients = []
    for _ in range(count):
        client = connect(port, room)
        if client:
            with contextlib.suppress(OSError):
                client.sendall(words)
            clients.append(client)
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def stalled_handshakes(siege, count):
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40)
    with crowd(siege.appliance.port["https"], count // 2), crowd(siege.appliance.port["https"], count // 2, hello):
        time.sleep(SECONDS)
    return f"{count} connections"


def half_heads(siege, count):
    with crowd(siege.appliance.port["http"], count, b"GET / HTTP/1.1\r\nHost: x\r\nX: ") as clients:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"x")
    return f"{count} connections"


def huge_heads(siege, count):
    """Heads, and handshakes of one message, nearly as long as they may be, that never end: the most that a
    connection can make the appliance hold. All of them together may have a fourth of its memory."""
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 31_000
    fragment = 1 << 14
    hello = b"\x01\x00\xff\xf0\x03\x03" + bytes(4 * fragment - 1_000)
    records = b"".join(
        b"\x16\x03\x03" + len(part).to_bytes(2, "big") + part
        for part in (hello[at : at + fragment] for at in range(0, len(hello), fragment))
    )
    with crowd(siege.appliance.port["http"], count // 2, head), crowd(siege.appliance.port["https"], count // 2, records):
        time.sleep(SECONDS)
    return f"{count} connections, {stays_small(siege)}"


def huge_changes(siege, count):
    """Settings that lack a byte of the most they may have."""
    head = b"POST /v1/security/adminpassword HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
    with crowd(siege.appliance.port["http"], count, head + bytes(999_999)):
        time.sleep(SECONDS)
    return f"{count} settings, {stays_small(siege)}"


def stays_small(siege):
    peak, share = siege.appliance.memory("VmHWM") >> 10, (SMALL_MEMORY >> 20) // 4 + 16  # and what it has at rest
    expect(peak <= share, f"{peak} MiB, where {share} were wanted")
    return f"never more than {peak} MiB"


def empty_lines(siege, count):
    """Nothing but line ends, which no deadline may forgive for ever."""
    for times in over_and_over(1):
        with crowd(siege.appliance.port["http"], count, b"\r\n") as clients:
            time.sleep(1)
            for client in clients:
                client.sendall(b"\r\n")
            refused = sum(b" 400 " in client.recv(200) for client in clients)
        expect(refused == count, f"{refused} of {count} were refused")
    return f"{times} x {count} connections"


def endless_requests(siege, count):
    """Requests sent without waiting for answers, which are read as they come."""
    requests = b"GET /v1/management/ping HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    with crowd(siege.appliance.port["http"], count) as clients, selectors.DefaultSelector() as ready:
        left = {}
        for client in clients:
            client.setblocking(False)
            ready.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
            left[client] = requests
        end, heard = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            for key, events in ready.select(1):
                client = key.fileobj
                with contextlib.suppress(BlockingIOError):
                    if events & selectors.EVENT_READ:
                        heard += len(client.recv(1 << 20))
                    if events & selectors.EVENT_WRITE:
                        left[client] = left[client][client.send(left[client]) :] or requests
    expect(heard, "they were answered as well")
    return f"{count} connections, {heard >> 20} MiB of answers in {SECONDS} s"


def unread_answers(siege, count):
    """Requests whose answers nobody reads, until nothing more fits between the two sides."""
    requests = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 400
    with crowd(siege.appliance.port["http"], count, requests, room=4096) as clients:
        time.sleep(SECONDS)
    return f"{count} connections"


def slow_bodies(siege, count, port="speech", path=b"/v2/jobs"):
    head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    with crowd(siege.appliance.port[port], count, head) as clients:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"x")
    return f"{count} uploads"


def slow_changes(siege, count):
    """The same for settings of our own, and of them there are far fewer places."""
    return slow_bodies(siege, count, "http", b"/v1/security/adminpassword")


def uploads(siege, count):
    """As fast as the appliance takes them, and more than it can take in that time."""
    size, piece = 4 << 30, 256 << 10
    head = f"POST /v2/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
    nothing = os.memfd_create("nothing")
    os.truncate(nothing, piece)
    with crowd(siege.appliance.port["speech"], count, head) as clients, selectors.DefaultSelector() as ready:
        for client in clients:
            client.setblocking(False)
            ready.register(client, selectors.EVENT_WRITE)
        end, sent = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            for key, _ in ready.select(1):
                with contextlib.suppress(OSError):
                    sent += os.sendfile(key.fd, nothing, 0, piece)
    return f"{count} uploads, {sent >> 20} MiB in {SECONDS} s"


def tunnels(siege, count, port="realtime_plain"):
    head = (
        b"GET /v2/en HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with crowd(siege.appliance.port[port], count, head) as clients:
        got = {}
        for client in clients:
            with contextlib.suppress(OSError):
                status = client.recv(200)[9:12].decode()
                got[status] = got.get(status, 0) + 1
        time.sleep(SECONDS)
    return ", ".join(f"{n} x {status or 'closed'}" for status, n in sorted(got.items()))


def tunnels_beside_management(siege, count):
    return tunnels(siege, count, "http")


def guesses(siege, count, clients=100):
    """Wrong passwords, many at once, each address no more than it may before it is told to wait; so many, or
    more for as long as other attacks take."""
    statuses, left, end = {}, count, time.monotonic() + SECONDS
    with selectors.DefaultSelector() as ready:

        def send(client):
            pair = base64.b64encode(f"admin:guess {left}".encode()).decode()
            client.sendall(f"GET /v1/management/ping HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {pair}\r\n\r\n".encode())

        def begin():
            client = connect(siege.appliance.port["http"])
            if client:
                ready.register(client, selectors.EVENT_READ, [0])
                send(client)

        for _ in range(clients):
            begin()
        while left > 0 or time.monotonic() < end:
            for key, _ in ready.select(5):
                client, asked = key.fileobj, key.data
                try:
                    status = client.recv(4096)[9:12].decode()
                except OSError:
                    status = ""
                statuses[status] = statuses.get(status, 0) + 1
                left, asked[0] = left - 1, asked[0] + 1
                if not status or asked[0] == 12:
                    ready.unregister(client)
                    client.close()
                    begin()
                else:
                    send(client)
        for key in list(ready.get_map().values()):
            key.fileobj.close()
    expect("200" not in statuses, f"somebody got in: {statuses}")
    return ", ".join(f"{n} x {status or 'closed'}" for status, n in sorted(statuses.items()))


def handshakes(siege, count):
    """Full handshakes, one after the other, thrown away."""
    context = ssl._create_unverified_context()
    made = 0
    for _ in over_and_over(count):
        client = connect(siege.appliance.port["https"])
        if client:
            with contextlib.suppress(OSError), client, context.wrap_socket(client):
                made += 1
    return f"{made} handshakes"


def dying_engine(siege, times):
    """The service is killed under uploads and comes back; speech may fail meanwhile, nothing else."""
    head = b"POST /v2/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + bytes(5000)
    for killed in over_and_over(times):
        with crowd(siege.appliance.port["speech"], 50, head) as clients:
            siege.engine.tell("stop")
            got = {}
            for client in clients:
                with contextlib.suppress(OSError):
                    status = client.recv(200)[9:12].decode()
                    got[status] = got.get(status, 0) + 1
            siege.engine.tell("start")
        expect(set(got) <= {"502", ""}, f"an upload to a dead engine got {got}")
        time.sleep(1)
    return f"killed {killed} times under 50 uploads"
