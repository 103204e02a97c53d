"""The appliance under test: its own folder, free ports on loopback, stopped by SIGTERM.

In: start, stop, curl against it, what the kernel says of its memory. Out: what is asked of it.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading

# What a start may take, default certificate included, on a busy machine.
START_SECONDS = 30
# The daemon lets requests in flight finish for 10 s.
STOP_SECONDS = 15

# The documented listeners; `realtime_plain` is the ws:// port of version 2.
LISTENERS = {
    "http": {"serves": "all", "http_disabled": "redirect"},
    "https": {"serves": "all", "tls": True},
    "management": {"serves": "management", "http_disabled": "close"},
    "speech": {"serves": "speech", "http_disabled": "close"},
    "realtime": {"serves": "realtime", "tls": True},
    "realtime_plain": {"serves": "realtime", "http_disabled": "close"},
}


class Answer:
    """What curl got: `status` is 0 without an answer, `exit` is curl's own code."""

    def __init__(self, done):
        self.exit = done.returncode
        body, _, status = done.stdout.rpartition("\n")
        self.body = body
        self.status = int(status or 0)
        self.error = done.stderr.strip()

    def __str__(self):
        return f"curl exit {self.exit}, status {self.status}, {self.body or self.error!r}"


class Appliance:
    """`with Appliance(binary, api=["v2"], services={"speech": port}) as appliance: …`

    With `license`, its settings of that name, it starts without a license; `environment` is added to ours.
    """

    def __init__(self, binary, api=("v1", "v2"), services=None, license=None, environment=None):
        self.binary = os.path.abspath(binary)
        self.temporary = temporary_folder()
        self.folder = self.temporary.__enter__()
        self.port = {name: free_port() for name in LISTENERS}
        self.settings = {
            "state_dir": str(self.folder / "state"),
            "run_dir": str(self.folder / "run"),
            "api": list(api),
            "https_port": self.port["https"],
            "listen": [
                {"address": f"127.0.0.1:{self.port[name]}", **rest} for name, rest in LISTENERS.items()
            ],
            "services": {name: {"address": f"127.0.0.1:{port}"} for name, port in (services or {}).items()},
        }
        self.licenses_itself = license is None and bool(services)
        if license is not None:
            self.settings["license"] = license
        self.environment = {**os.environ, **(environment or {})}
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *_):
        well = False
        try:
            self.stop()
            well = kind is None
        finally:
            if not well:
                self.show_log()
            self.temporary.__exit__(None, None, None)

    def start(self):
        if self.licenses_itself and not (self.folder / "vendor").exists():
            self.authority("init", "--customer", "4949")
            self.settings["license"] = {"trust_file": str(self.folder / "vendor/trust.json")}
        config = self.folder / "config.json"
        config.write_text(json.dumps(self.settings, indent=2))
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [self.binary, "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
        )
        ready = threading.Event()

        def read():  # until the end, so that the daemon never writes into a full pipe
            for line in self.process.stdout:
                if line == b"ready\n":
                    ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(START_SECONDS):
            raise RuntimeError(f"the appliance did not say ready within {START_SECONDS} s")
        if self.licenses_itself and not (self.folder / "licensed").exists():
            self.license()
            (self.folder / "licensed").touch()

    def license(self, *terms):
        """A license got the offline way, for an engine is of no use without one."""
        code = self.authority(
            "create", "--offline-mode", "--secs", "1800000", "--cache", "3600",
            "--expires", "2097-10-16T12:26:37Z", *terms,
        )  # fmt: skip
        asked = self.local("POST", {"license": code})
        request = self.folder / "request.txt"
        request.write_text(asked["certificate"])
        certificate = self.authority("sign", str(request))
        told = self.local("PUT", {"license": code, "certificate": certificate})
        if told.get("licensed") is not True:
            raise RuntimeError(f"no license: {told}")

    def authority(self, verb, *arguments):
        program = os.path.join(os.path.dirname(self.binary), "license-authority")
        command = [program, verb, "--dir", str(self.folder / "vendor"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"license-authority {verb}: {done.stderr.strip()}")
        return done.stdout.strip()

    def local(self, method, body):
        """The license call of that name on the control socket."""
        generation = self.settings["api"][0]
        url = f"http://x/{generation}/management/license/offlineactivation"
        command = ["curl", "-q", "--silent", "--show-error", "--unix-socket", str(self.folder / "run/control.sock")]
        done = subprocess.run(
            [*command, "-X", method, "-d", json.dumps(body), url], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    def stop(self):
        """SIGTERM; an end of its own, or an exit code other than 0, is an error."""
        if self.process is None:
            return
        process, self.process = self.process, None
        if process.poll() is not None:
            self.log.close()
            raise RuntimeError(f"the appliance had ended by itself, with exit code {process.returncode}")
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise RuntimeError(f"the appliance did not stop within {STOP_SECONDS} s of SIGTERM") from None
        finally:
            self.log.close()
        if code != 0:
            raise RuntimeError(f"the appliance ended with exit code {code}")

    def show_log(self, lines=30):
        log = self.folder / "log"
        if log.exists():
            for line in log.read_text(errors="replace").splitlines()[-lines:]:
                print(f"  log: {line}")

    def url(self, listener, path, websocket=False):
        """Where `path` is on one of the LISTENERS."""
        scheme = ("ws" if websocket else "http") + ("s" if LISTENERS[listener].get("tls") else "")
        return f"{scheme}://localhost:{self.port[listener]}{path}"

    def shell(self, command, seconds=30):
        """A command of src/manual.md as typed, `${APPLIANCE_HOST}` and all, with our ports in it."""
        host = "${APPLIANCE_HOST}"
        typed = (
            command.replace(f"{host}:9004", f"{host}:{self.port['realtime']}")
            .replace(f"{host}:8082", f"{host}:{self.port['speech']}")
            .replace(f"https://{host}/", f"https://{host}:{self.port['https']}/")
            .replace(f"http://{host}/", f"http://{host}:{self.port['http']}/")
        )
        return subprocess.run(
            ["sh", "-c", typed],
            env={**os.environ, "APPLIANCE_HOST": "localhost"},
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def upload_certificate(self, pair, *credentials):
        """Takes `pair` into use; both generations have the same call."""
        parts = ("-F", f"keyfile=@{pair.key}", "-F", f"certfile=@{pair.cert}")
        self._security("sslcertificate", *credentials, *parts)

    def set_password(self, password, *credentials):
        body = json.dumps({"password": password})
        self._security("adminpassword", *credentials, "-H", "Content-Type: application/json", "-d", body)

    def set_job_token(self, token, *credentials):
        body = json.dumps({"user_token": token})
        self._security("jobtoken", *credentials, "-H", "Content-Type: application/json", "-d", body)

    def remove_job_token(self, *credentials):
        self._security("jobtoken", *credentials, "-X", "DELETE")

    def switch_plain_http(self, on, *credentials):
        body = json.dumps({"enable_insecure_ports": on})
        self._security("insecureports", *credentials, "-H", "Content-Type: application/json", "-d", body)

    def _security(self, call, *arguments):
        """`POST /v?/security/<call>` over HTTPS."""
        path = f"/{self.settings['api'][0]}/security/{call}"
        answer = curl("--insecure", *arguments, self.url("https", path))
        if answer.status != 200:
            raise AssertionError(f"{call} was refused: {answer}")

    def memory(self, field):
        """`VmHWM` (highest resident size so far) or `VmRSS` (now), in kB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        for line in status.splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise RuntimeError("the appliance is gone")


def curl(*arguments, seconds=30):
    """One silent curl, its answer's status told after the body."""
    return Answer(
        subprocess.run(
            ["curl", "-sS", "--max-time", str(seconds), "-w", "\n%{http_code}", *arguments],
            capture_output=True,
            text=True,
            timeout=seconds + 5,
        )
    )


@contextlib.contextmanager
def temporary_folder():
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="applianced-real.", ignore_cleanup_errors=True) as folder:
        yield pathlib.Path(folder)


class _Ports:
    """A block of ports for this program alone, however many others pick theirs at the same time: whoever holds the
    name of a block, an abstract socket that the kernel removes with its program, has it."""

    FIRST, BLOCK, BLOCKS = 12_000, 100, 200

    def __init__(self):
        self.held, self.left = [], iter(())

    def __next__(self):
        port = next(self.left, None)
        return self.another_block() if port is None else port

    def another_block(self):
        for block in random.sample(range(self.BLOCKS), self.BLOCKS):
            name = socket.socket(socket.AF_UNIX)
            try:
                name.bind(f"\0ports-for-tests-{block}")
            except OSError:
                name.close()
                continue
            self.held.append(name)
            first = self.FIRST + block * self.BLOCK
            self.left = iter(range(first, first + self.BLOCK))
            return next(self.left)
        raise RuntimeError("no free port between 12000 and 32000")


_ports = _Ports()


def free_port():
    """A port nobody listens on, below the range that the kernel gives to outgoing connections."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
