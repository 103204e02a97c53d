"""An ACME authority of our own (RFC 8555), strict with its clients, that goes wrong as `fault` says.

It proves no control of a name: whoever says that a challenge is ready has won. In: a root, a fault, a pace.
Out: every request with its moment, the accounts, and what clients did wrong.
"""

import hashlib
import itertools
import json
import secrets
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509

from lib.acme import faults
from lib.acme.jose import Refusal, decode, open_request
from lib.acme.pki import YEAR, Issuer, new_key, now

MOST_BODY = 100_000


class Authority:
    """`with Authority(host, root, folder) as authority: …`; what it issues is valid for `lifetime` seconds.

    `tls` says from when to when its own certificate is valid, `suggests` when to renew (RFC 9773), in seconds
    from now; `pace` is how long it takes to validate and to issue; `poll` goes into Retry-After.
    """

    def __init__(
        self, host, root, folder, fault=None, lifetime=30 * 86_400, tls=(-60, YEAR), suggests=None,
        pace=0.1, poll=1,
    ):  # fmt: skip
        self.host, self.fault, self.lifetime, self.suggests = host, fault, lifetime, suggests
        self.pace, self.poll = pace, poll
        self.directory = f"https://{host.name}/directory"
        self.issuer = Issuer(folder, f"{host.name}-issuer", root)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*root.server(host, *tls))
        self.lock = threading.RLock()
        self.nonces, self.accounts, self.orders, self.certificates = set(), {}, {}, {}
        self.numbers = itertools.count(1)
        self.requests, self.wrong = [], []
        self.connections = 0

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"authority": self})
        families = ((socket.AF_INET, self.host.v4), (socket.AF_INET6, self.host.v6))
        self.servers = [_Server(family, address, handler) for family, address in families if address]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def count(self, path):
        """How many requests for `path` and what is below it there were."""
        return len(self.moments(path))

    def moments(self, path):
        with self.lock:
            return [at for at, _, asked in self.requests if asked == path or asked.startswith(path + "/")]

    # --- what there is at the addresses ------------------------------------------------------------

    def answer(self, method, path, headers, body):
        """Status, fields and body; a body that is no text is JSON."""
        with self.lock:
            self.requests.append((time.monotonic(), method, path))
            bad = faults.before(self, method, path)
            if bad:
                return bad
            if path == "/directory":
                return 200, {}, self._directory()
            if path == "/nonce":
                return (200 if method == "HEAD" else 204), {"Cache-Control": "no-store"}, ""
            if path.startswith("/renewal/"):
                return self._renewal()
            try:
                if method != "POST":
                    raise Refusal(405, "malformed", f"{method} is not for {path}")
                return self._posted(path, open_request(self, path, headers, body))
            except Refusal as refusal:
                self.wrong.append(str(refusal))
                return refusal.status, {}, refusal.problem()

    def _directory(self):
        at = f"https://{self.host.name}"
        places = {"newNonce": "/nonce", "newAccount": "/account", "newOrder": "/order"}
        return {name: at + path for name, path in places.items()} | {
            "revokeCert": f"{at}/revoke", "keyChange": f"{at}/key", "renewalInfo": f"{at}/renewal",
            "meta": {"website": at},
        }  # fmt: skip

    def _renewal(self):
        if self.suggests is None:
            return 404, {}, Refusal(404, "malformed", "nothing is known of this certificate").problem()
        start, end = (now(seconds).strftime("%Y-%m-%dT%H:%M:%SZ") for seconds in self.suggests)
        return 200, {"Retry-After": "21600"}, {"suggestedWindow": {"start": start, "end": end}}

    def url(self, *parts):
        return f"https://{self.host.name}/" + "/".join(str(part) for part in parts)

    def _posted(self, path, request):
        kind, *rest = path.strip("/").split("/")
        if kind == "account":
            return self._account(request, rest)
        if request.account is None:
            raise Refusal(400, "malformed", "signed with a key, not an account")
        if kind == "order" and not rest:
            return self._new_order(request)
        if kind == "certificate":
            return 200, {"Content-Type": "application/pem-certificate-chain"}, self.certificates[rest[0]]
        order = self.orders.get(rest[0] if rest else None)
        if order is None or order["account"] != request.account:
            raise Refusal(404, "malformed", f"nothing is at {path}")
        if kind == "authorization":
            return 200, self._poll(), self._authorization(order, int(rest[1]))
        if kind == "challenge":
            if request.payload != {}:
                raise Refusal(400, "malformed", f"the answer to a challenge is {request.payload}, not {{}}")
            at = int(rest[1])
            order["answered"][at] = order["answered"][at] or time.monotonic()
            link = {"Link": f'<{self.url("authorization", rest[0], at)}>;rel="up"'}
            return 200, link, self._challenge(order, at, rest[2])
        if kind == "order":
            if rest[1:] == ["finalize"]:
                self._finalize(order, request)
            return 200, self._poll(), self._order(order)
        raise Refusal(404, "malformed", f"nothing is at {path}")

    def _poll(self):
        return {"Retry-After": str(self.poll)} if self.poll else {}

    def _account(self, request, rest):
        if rest:
            return 200, {}, {"status": "valid"}
        if request.thumbprint is None:
            raise Refusal(400, "malformed", "newAccount is signed with an account, not a key")
        found = self.accounts.get(request.thumbprint)
        if found is None:
            if request.payload.get("onlyReturnExisting"):
                raise Refusal(400, "accountDoesNotExist", "no account has this key")
            found = self.accounts[request.thumbprint] = {"number": next(self.numbers), "key": request.key}
            return 201, {"Location": self.url("account", found["number"])}, {"status": "valid"}
        return 200, {"Location": self.url("account", found["number"])}, {"status": "valid"}

    def _new_order(self, request):
        names = [identifier["value"] for identifier in request.payload["identifiers"]]
        number = str(next(self.numbers))
        order = self.orders[number] = {
            "number": number, "account": request.account, "names": names, "token": secrets.token_urlsafe(32),
            "answered": [None] * len(names), "finalized": None, "certificate": None,
        }  # fmt: skip
        return 201, {"Location": self.url("order", number)}, self._order(order)

    def _settled(self, since):
        return since is not None and time.monotonic() > since + self.pace

    def _proved(self, order):
        return all(self._settled(since) for since in order["answered"])

    def _order(self, order):
        status = "ready" if self._proved(order) else "pending"
        if self.fault == "invalid" and status == "ready":
            status = "invalid"
        if order["finalized"]:
            status = "processing"
            if self._settled(order["finalized"]) and self.fault != "processing":
                status = "valid"
        number = order["number"]
        told = {
            "status": status, "expires": "2099-01-01T00:00:00Z",
            "identifiers": [{"type": "dns", "value": name} for name in order["names"]],
            "authorizations": [self.url("authorization", number, at) for at in range(len(order["names"]))],
            "finalize": self.url("order", number, "finalize"),
        }  # fmt: skip
        if status == "valid":
            told["certificate"] = self.url("certificate", order["certificate"])
        return told

    def _authorization(self, order, at):
        status = "valid" if self._settled(order["answered"][at]) else "pending"
        if self.fault == "invalid" and status == "valid":
            status = "invalid"
        return {
            "status": status, "expires": "2099-01-01T00:00:00Z",
            "identifier": {"type": "dns", "value": order["names"][at]},
            "challenges": [self._challenge(order, at, kind) for kind in ("http-01", "dns-01", "tls-alpn-01")],
        }  # fmt: skip

    def _challenge(self, order, at, kind):
        since = order["answered"][at]
        status = "valid" if self._settled(since) else "processing" if since else "pending"
        told = {
            "type": kind, "url": self.url("challenge", order["number"], at, kind), "token": order["token"],
            "status": status,
        }  # fmt: skip
        if self.fault == "invalid" and status == "valid":
            told |= {"status": "invalid", "error": faults.UNREACHABLE}
        return told

    def _finalize(self, order, request):
        if not self._proved(order):
            raise Refusal(403, "orderNotReady", "the order is not ready")
        wanted = x509.load_der_x509_csr(decode(request.payload["csr"]))
        asked = wanted.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        asked = sorted(asked.get_values_for_type(x509.DNSName))
        if not wanted.is_signature_valid or asked != sorted(order["names"]):
            raise Refusal(400, "badCSR", "the names in the request are not those of the order")
        key, names = wanted.public_key(), order["names"]
        if self.fault == "other key":
            key = new_key().public_key()
        if self.fault == "other names":
            names = ["other.acme.test"]
        order["finalized"] = time.monotonic()
        order["certificate"] = hashlib.sha256(secrets.token_bytes(8)).hexdigest()[:16]
        chain = self.issuer.sign(key, names, ends=self.lifetime) + self.issuer.pem.read_text()
        self.certificates[order["certificate"]] = chain


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 50

    def __init__(self, family, address, handler):
        self.address_family = family
        super().__init__((address, 443), handler)

    def get_request(self):
        connection, sender = super().get_request()
        authority = self.RequestHandlerClass.authority
        with authority.lock:
            authority.connections += 1
        # The handshake is made by the thread of this connection, when it reads.
        return authority.context.wrap_socket(connection, True, do_handshake_on_connect=False), sender

    def handle_error(self, *_):
        pass  # a client that trusts nobody here, or was killed


class _Handler(BaseHTTPRequestHandler):
    authority = None
    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(min(length, MOST_BODY))
        status, fields, told = self.authority.answer(self.command, self.path, self.headers, body)
        if callable(told):
            self.close_connection = True
            told(self.wfile)
            return
        problem = status >= 400 and not isinstance(told, str)
        text = told if isinstance(told, str) else json.dumps(told)
        kind = "application/problem+json" if problem else "application/json"
        fields = {"Content-Type": kind, **fields, "Content-Length": str(len(text.encode()))}
        nonce = secrets.token_urlsafe(16)
        with self.authority.lock:
            self.authority.nonces.add(nonce)
        self.send_response(status)
        for name, value in {**fields, "Replay-Nonce": nonce}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *_):
        pass
