"""Everything that customers do to an appliance, at once and for as long as it is wanted."""

import base64
import contextlib
import http.client
import itertools
import json
import os
import socket
import ssl
import threading
import time

from lib.appliance import curl

UPLOAD = os.urandom(1 << 20)
TUNNEL = (
    b"GET /v2/en HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
JSON = ("-H", "Content-Type: application/json", "-d")


class Traffic:
    """Threads that go on until `stop`; `requests` and `faults` count."""

    def __init__(self, appliance, pairs):
        self.appliance, self.pairs = appliance, itertools.cycle(pairs)
        self.requests, self.faults, self.counted = {}, [], threading.Lock()
        self.passwords, self.changing = itertools.cycle(["one", "two", "three"]), threading.Lock()
        self.password, self.over = None, threading.Event()
        self.context = ssl._create_unverified_context()
        self.addresses = itertools.count(1)
        work = [self.manage, self.manage, self.upload, self.upload, self.tunnel, self.shake, self.plain, self.change]
        self.threads = [threading.Thread(target=self.repeat, args=(one,), daemon=True) for one in work]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.faults.append("a client hangs")

    def count(self, what):
        with self.counted:
            self.requests[what] = self.requests.get(what, 0) + 1

    def repeat(self, work):
        here = f"127.77.0.{next(self.addresses)}"
        while not self.over.is_set():
            try:
                work(here)
            except Exception as error:  # every one of them is a fault of the appliance or of this file
                self.faults.append(f"{work.__name__}: {error!r}")
                time.sleep(0.2)

    def connection(self, here, name="https"):
        port = self.appliance.port[name]
        if name == "https":
            return http.client.HTTPSConnection(
                "127.0.0.1", port, timeout=60, source_address=(here, 0), context=self.context
            )
        return http.client.HTTPConnection("127.0.0.1", port, timeout=60, source_address=(here, 0))

    def manage(self, here):
        """Twenty calls on one connection; a password that has just been changed is looked up and sent again."""
        with contextlib.closing(self.connection(here)) as connection:
            for path in ["/v1/management/ping", "/v2/management/health", "/v1/security/sslcertificate",
                         "/monitor/api/3/mem", "/v1/management/license"] * 4:  # fmt: skip
                status = self.get(connection, path)
                if status == 401:
                    with self.changing:
                        status = self.get(connection, path)
                expect_status(status, 200, path)
                self.count("management")

    def get(self, connection, path):
        pair = base64.b64encode(f"admin:{self.password or 'admin'}".encode()).decode()
        connection.request("GET", path, headers={"Authorization": f"Basic {pair}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def upload(self, here):
        with contextlib.closing(self.connection(here)) as connection:
            for _ in range(5):
                connection.request("POST", "/v2/jobs", body=UPLOAD)
                answer = connection.getresponse()
                answer.read()
                expect_status(answer.status, 200, "upload")
                self.count("uploads")

    def tunnel(self, here):
        tcp = socket.create_connection(("127.0.0.1", self.appliance.port["realtime"]), 60, source_address=(here, 0))
        with self.context.wrap_socket(tcp) as stream:
            stream.sendall(TUNNEL)
            expect_status(int(stream.recv(500)[9:12]), 101, "WebSocket")
            for size in [1, 100, 10_000, 60_000]:
                sent = os.urandom(size)
                stream.sendall(sent)
                got = b""
                while len(got) < size:
                    got += stream.recv(65536) or missing()
                if got != sent:
                    raise AssertionError("the echo differs")
        self.count("tunnels")

    def shake(self, here):
        """A full handshake, then one that resumes it where the server lets it."""
        session = None
        for _ in range(2):
            tcp = socket.create_connection(("127.0.0.1", self.appliance.port["https"]), 60, source_address=(here, 0))
            with self.context.wrap_socket(tcp, session=session) as stream:
                stream.sendall(b"GET /v2/jobs HTTP/1.1\r\nHost: x\r\n\r\n")
                expect_status(int(stream.recv(2000)[9:12]), 200, "after a handshake")
                session = stream.session
                self.count("resumed" if stream.session_reused else "handshakes")

    def plain(self, here):
        """Served, or sent to HTTPS while plain HTTP is off."""
        with contextlib.closing(self.connection(here, "http")) as connection:
            connection.request("GET", "/v2/jobs")
            answer = connection.getresponse()
            answer.read()
            if answer.status != 301:
                expect_status(answer.status, 200, "plain HTTP")
            self.count("plain")
        time.sleep(0.01)

    def change(self, here):
        """One of each change, with some seconds between them."""
        steps = [self.change_certificate, self.change_password, lambda: self.switch(False),
                 self.sync, lambda: self.switch(True)]  # fmt: skip
        for step in steps:
            step()
            self.count("changes")
            if self.over.wait(3):
                break
        self.switch(True)

    def credentials(self):
        return ("-u", f"admin:{self.password or 'admin'}")

    def change_certificate(self):
        self.appliance.upload_certificate(next(self.pairs), *self.credentials())

    def change_password(self):
        with self.changing:
            new = next(self.passwords)
            self.appliance.set_password(new, *self.credentials())
            self.password = new

    def switch(self, on):
        self.appliance.switch_plain_http(on, *self.credentials())

    def sync(self):
        """Asks the authority for news, through a proxy that loses one connection in three."""
        url = self.appliance.url("https", "/v1/management/services")
        answer = curl("--insecure", *self.credentials(), "-X", "DELETE", url)
        expect_status(answer.status, 200, "license sync")


def expect_status(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: {found}, not {wanted}")


def missing():
    raise AssertionError("the tunnel ended early")


class FlakyProxy(threading.Thread):
    """An HTTP proxy that loses every third connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port, self.passed, self.lost = self.listener.getsockname()[1], 0, 0

    def run(self):
        for number in itertools.count():
            client, _ = self.listener.accept()
            if number % 3 == 2:
                self.lost += 1
                client.close()
            else:
                self.passed += 1
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    @staticmethod
    def carry(client):
        with client, contextlib.suppress(OSError, ValueError, IndexError):
            client.settimeout(20)
            asked = b""
            while b"\r\n\r\n" not in asked:
                asked += client.recv(65536) or b"\r\n\r\n"
            head, body = asked.split(b"\r\n\r\n", 1)
            host = head.split(b" ")[1].split(b"/")[2].decode().rsplit(":", 1)
            length = next((int(l.split(b":")[1]) for l in head.lower().split(b"\r\n") if l.startswith(b"content-length")), 0)
            while len(body) < length:
                body += client.recv(65536)
            with socket.create_connection((host[0], int(host[1])), 20) as far:
                far.sendall(head + b"\r\n\r\n" + body)
                while data := far.recv(65536):
                    client.sendall(data)


def license_online(appliance, service, proxy):
    """Buys and activates a license through `proxy`; a lost connection is tried again."""
    url = appliance.url("http", "/v1/management/license")
    settings = {"http_configuration": {"ip": "127.0.0.1", "port": str(proxy.port)}}
    curl(*JSON, json.dumps(settings), f"{url}/network")
    code = service.sell()
    for _ in range(20):
        answer = curl(*JSON, json.dumps({"license": code}), url)
        if answer.status == 200 and json.loads(answer.body)["licensed"]:
            return
        time.sleep(1)
    raise RuntimeError(f"no license: {answer}")
