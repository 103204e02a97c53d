"""nginx and HAProxy as Debian packages them, in front of what is tested."""

import pathlib
import shutil
import socket
import subprocess

from lib.appliance import free_port
from lib.proxies import until

PATH = "/usr/sbin:/usr/bin"

# Everything that nginx needs to run from a folder; `load_module` comes first.
NGINX = """
daemon off; user root; pid FOLDER/nginx.pid; error_log FOLDER/nginx-errors.log;
events { worker_connections 4096; }
"""

NGINX_HTTP = """
    access_log off; client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p;
    fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
"""


class Front:
    """A program that runs in the foreground with a settings file, until it listens on `port`."""

    def __init__(self, folder, name, settings, *arguments):
        self.port = free_port()
        file = pathlib.Path(folder) / f"{name}-{self.port}.conf"
        file.write_text(settings.replace("PORT", str(self.port)).replace("FOLDER", str(folder)))
        self.log = open(file.with_suffix(".log"), "wb")
        command = [shutil.which(name, path=PATH), *(a.replace("FILE", str(file)) for a in arguments)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def __enter__(self):
        until(lambda: connects(self.port), "it listens")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


def nginx(folder, settings):
    return Front(folder, "nginx", settings, "-c", "FILE")


def haproxy(folder, settings):
    return Front(folder, "haproxy", settings, "-db", "-f", "FILE")


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
