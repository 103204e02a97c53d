"""The appliance where an ACME authority looks for it: ports 80 and 443 of a host of its own."""

import http.client
import json
import re
import socket
import ssl
import time

from cryptography import x509

from lib.appliance import Appliance, curl
from lib.proxies import until
from lib.report import expect

# From the request until a certificate of the authority is served.
SOON = 10
# The same where the processors are shared with all the other checks, or an order was interrupted.
LATER = 30
PORTS = {
    80: {"serves": "all", "http_disabled": "redirect"},
    443: {"serves": "all", "tls": True},
    8080: {"serves": "management", "http_disabled": "close"},
}


class AcmeAppliance(Appliance):
    """`with AcmeAppliance(binary, host) as appliance: …` on the addresses of `host`."""

    def __init__(self, binary, host, api=("v1", "v2"), services=None):
        super().__init__(binary, api, services)
        self.host = host
        # Version 2 alone begins with a password.
        self.credentials = ("-u", "admin:admin") if list(api) == ["v2"] else ()
        self.settings["https_port"] = 443
        self.settings["listen"] = [
            {"address": address, **rest} for port, rest in PORTS.items() for address in host.sockets(port)
        ]

    def url(self, listener, path, websocket=False):
        scheme = ("ws" if websocket else "http") + ("s" if listener == "https" else "")
        return f"{scheme}://{self.host.name}{path}"

    def kill(self):
        """SIGKILL, or what is left of a process that has had it already."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.log.close()

    # --- the call ----------------------------------------------------------------------------------

    def call(self, method, path="acme", body=None, generation=None):
        """`METHOD /v?/security/PATH` over HTTPS."""
        words = ("-H", "Content-Type: application/json", "-d", json.dumps(body)) if body is not None else ()
        generation = generation or self.settings["api"][0]
        # Version 2 begins with a password.
        credentials = ("-u", "admin:admin") if generation == "v2" else ()
        path = f"/{generation}/security/{path}"
        return curl("-q", "--insecure", *credentials, "-X", method, *words, self.url("https", path))

    def ask(self, directory, root, **more):
        """Sets ACME for the name of our host: one curl."""
        # acme2certifier makes no account without a contact.
        contact = "mailto:admin@acme.test"
        body = {"directory": directory, "names": [self.host.name], "contact": contact, **more}
        if root:
            body["root"] = root.pem.read_text()
        answer = self.call("POST", body=body)
        expect(answer.status == 200, f"POST acme: {answer}")
        return answer

    def shown(self):
        answer = self.call("GET")
        expect(answer.status == 200, f"GET acme: {answer}")
        return json.loads(answer.body)

    def log_text(self):
        return (self.folder / "log").read_text(errors="replace")

    # --- what is served ----------------------------------------------------------------------------

    def handshake(self, address, root=None):
        """The certificate at an address; with `root` only if it and its chain are good for our name."""
        context = ssl.create_default_context(cafile=root.pem if root else None)
        if not root:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((address, 443), SOON) as plain,
            context.wrap_socket(plain, server_hostname=self.host.name) as connection,
        ):
            return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))

    def served(self, root=None):
        """The certificate, which must be the same at all addresses."""
        found = [self.handshake(address, root) for address in (self.host.v4, self.host.v6) if address]
        expect(len(set(found)) == 1, f"not one certificate: {[one.subject for one in found]}")
        return found[0]

    def gets(self, root, other_than=None, seconds=SOON):
        """Waits until a certificate below `root` is served, and no more `other_than`; how long it took."""
        started = time.monotonic()

        def found():
            try:
                certificate = self.served(root)
            except ssl.SSLCertVerificationError:
                return None
            except AssertionError:  # between the first address and the second
                return None
            return certificate if certificate != other_than else None

        try:
            until(found, "a certificate of the authority is served", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; GET acme: {self.shown()}") from None
        return time.monotonic() - started

    def is_valid(self):
        """Waits until GET says that all is well, and returns what it says."""

        def valid():
            shown = self.shown()
            return shown if shown.get("status") == "valid" else None

        shown = until(valid, "the status is valid", SOON)
        expect(shown["enabled"] is True and "error" not in shown, f"{shown}")
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", shown["renewal"]), f"{shown}")
        return shown


class Kept:
    """A connection with TLS that is used before and after a change of the certificate."""

    def __init__(self, appliance):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(appliance.host.name, timeout=LATER, context=context)
        self.answers()
        self.socket = self.connection.sock

    def answers(self):
        self.connection.request("GET", "/v1/management/ping")
        answer = self.connection.getresponse()
        expect(answer.status == 200 and b"reply" in answer.read(), f"ping: {answer.status}")

    def still_answers(self):
        self.answers()
        expect(self.connection.sock is self.socket, "the kept connection was closed")


class Upload:
    """A job whose audio goes on while the certificate is changed."""

    HEAD = (
        b'--x\r\nContent-Disposition: form-data; name="data_file"; filename="a.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n"
    )
    PIECE = b"audio of the first and of the second half\r\n" * 500

    def __init__(self, appliance):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(appliance.host.name, timeout=LATER, context=context)
        self.connection.putrequest("POST", "/v2/jobs")
        self.connection.putheader("Content-Type", "multipart/form-data; boundary=x")
        self.connection.putheader("Transfer-Encoding", "chunked")
        self.connection.endheaders()
        self._send(self.HEAD + self.PIECE)

    def _send(self, data):
        self.connection.send(b"%x\r\n%s\r\n" % (len(data), data))

    def goes_on(self):
        self._send(self.PIECE)

    def ends(self, engine):
        """The engine must have got every byte."""
        self._send(b"\r\n--x--\r\n")
        self.connection.send(b"0\r\n\r\n")
        answer = self.connection.getresponse()
        told = answer.read()
        expect(answer.status == 201, f"the job was answered {answer.status}: {told}")
        audio = engine.jobs[json.loads(told)["id"]]["audio"]
        expect(len(audio) >= 2 * len(self.PIECE) - 2, f"{len(audio)} bytes arrived")
