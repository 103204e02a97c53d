"""An honest client: one request after the other, each answered or counted. A process of its own, so that
whoever attacks takes nothing from it but what the appliance lets him take.

It has a machine of its own in truth, so here nobody goes before it, where the kernel allows that.

usage: honest.py URL[#PASSWORD], then lines `measure` on standard input; answers each with a line of JSON,
which counts from the one before; a fault is told with how many seconds after that it began.
"""

import base64
import contextlib
import http.client
import json
import os
import ssl
import sys
import threading
import time
from urllib.parse import urlsplit

# Longer than this is no answer.
PATIENCE_SECONDS = 30
# About forty requests a second: enough for a p99, not enough to be an attack.
PAUSE_SECONDS = 0.02


class Client(threading.Thread):
    """Every other request on a connection of its own."""

    def __init__(self, url, password):
        super().__init__(daemon=True)
        self.parts, self.times, self.faults, self.lock = urlsplit(url), [], [], threading.Lock()
        self.asked = time.monotonic()
        pair = base64.b64encode(f"admin:{password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {pair}"} if password else {}
        self.context = ssl._create_unverified_context()
        self.connection = None

    def run(self):
        for number in range(sys.maxsize):
            begin = time.monotonic()
            fault = self.ask(fresh=number % 2 == 0)
            with self.lock:
                self.times.append(time.monotonic() - begin)
                if fault:
                    self.faults.append((begin - self.asked, fault))
            time.sleep(PAUSE_SECONDS)

    def ask(self, fresh):
        host, port = self.parts.hostname, self.parts.port
        if fresh or self.connection is None:
            if self.connection:
                self.connection.close()
            if self.parts.scheme == "https":
                self.connection = http.client.HTTPSConnection(
                    host, port, timeout=PATIENCE_SECONDS, context=self.context
                )
            else:
                self.connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
        try:
            self.connection.request("GET", self.parts.path, headers=self.headers)
            answer = self.connection.getresponse()
            body = answer.read()
            return None if answer.status == 200 else f"{answer.status} {body[:120]!r}"
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            # A connection that has waited idle may be closed at any time; a client asks again.
            if not fresh and not isinstance(error, TimeoutError):
                return self.ask(fresh=True)
            return repr(error)

    def take(self):
        with self.lock:
            times, faults = self.times, self.faults
            self.times, self.faults, self.asked = [], [], time.monotonic()
        return sorted(times), faults


def main():
    url, _, password = sys.argv[1].partition("#")
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    client = Client(url, password)
    client.start()
    for _ in sys.stdin:
        times, faults = client.take()
        p50, p99 = (times[len(times) * part // 100] if times else 0 for part in (50, 99))
        told = {"count": len(times), "p50": p50, "p99": p99, "faults": faults}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
