"""HAProxy with one thread; a new certificate comes by a reload of its master."""

import os
import resource
import signal

from lib.contender import Contender, output

SETTINGS = """
global
    nbthread %(cores)d
    maxconn %(connections)d
    tune.ssl.default-dh-param 2048
    ssl-default-bind-options ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.3
defaults
    mode http
    no log
    option http-keep-alive
    http-reuse always
    backlog 4096
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    timeout http-keep-alive 300s
    maxconn %(connections)d
frontend front
    bind 127.0.0.1:%(port)d ssl crt %(folder)s/both.pem
    http-request return status 200 content-type application/json string '{"status":"ok"}' if { path /own }
    default_backend back
backend back
    server one 127.0.0.1:%(backend)d
"""


class Peer(Contender):
    can = {"own", "websocket"}
    program = "haproxy"
    descriptors = 2
    note = "one thread, a master and a worker; left out of the passwords"

    @classmethod
    def version(cls):
        return output(cls.program, "-v").split()[2]

    def configure(self):
        # It does not start if the limit of open files is too low for `maxconn`.
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        values = {
            "port": self.port,
            "cores": self.cores,
            "backend": self.backend,
            "folder": self.folder,
            "connections": min(self.connections, (files - 200) // self.descriptors),
        }
        (self.folder / "haproxy.cfg").write_text(SETTINGS % values)

    def reload(self):
        os.kill(self.process.pid, signal.SIGUSR2)

    def command(self):
        return [self.program, "-W", "-f", self.folder / "haproxy.cfg"]
