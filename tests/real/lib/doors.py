"""Requests as a test writes them, over plain HTTP, HTTPS or a Unix socket, and what came back."""

import base64
import http.client
import itertools
import socket
import ssl

ADMIN = "admin"
_hosts = itertools.count(2)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}

    def __str__(self):
        kind = self.headers.get("content-type")
        return f"{self.status} {kind} {self.body[:300].decode(errors='replace')!r}"


def unverified():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def basic(password, user=ADMIN):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Door:
    """One way in. `password` is sent with every request that does not say otherwise."""

    def __init__(self, name, port=None, path=None, tls=False, password=ADMIN, source=None):
        self.name, self.port, self.path, self.tls, self.password = name, port, path, tls, password
        self.source = (source, 0) if source else None

    def connect(self, stranger=False, seconds=40):
        """A connection; a stranger comes from an address of its own."""
        if self.path:
            connection = http.client.HTTPConnection("localhost", timeout=seconds)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(seconds)
            connection.sock.connect(str(self.path))
            return connection
        source = (f"127.0.{next(_hosts) % 250 + 1}.1", 0) if stranger else self.source
        if self.tls:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=seconds, context=unverified(), source_address=source
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds, source_address=source)

    def ask(self, method, target, body=None, headers=None, password=..., **connection):
        """`password` None sends none."""
        password = self.password if password is ... else password
        sent = {"Authorization": basic(password)} if password is not None else {}
        sent |= headers or {}
        line = self.connect(**connection)
        try:
            line.request(method, target, body, sent)
            reply = line.getresponse()
            body = b"" if reply.status == 101 else reply.read()
            return Answer(reply.status, reply.getheaders(), body)
        finally:
            line.close()

    def raw(self, text, seconds=40):
        """What comes back for these bytes."""
        line = self.connect(seconds=seconds)
        try:
            if line.sock is None:
                line.connect()
            line.sock.sendall(text)
            reply = http.client.HTTPResponse(line.sock)
            reply.begin()
            return Answer(reply.status, reply.getheaders(), reply.read())
        finally:
            line.close()


def multipart(parts):
    """Body and headers of an upload."""
    lines = []
    for name, value in parts.items():
        lines += ["--b", f'Content-Disposition: form-data; name="{name}"; filename="{name}"', "", value]
    body = "\r\n".join([*lines, "--b--", ""])
    return body, {"Content-Type": "multipart/form-data; boundary=b"}
