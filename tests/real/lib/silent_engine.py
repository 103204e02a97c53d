"""A stand-in for a speech engine that answers `{}`, or too late, or breaks off: as `mode` says."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SilentEngine:
    """Listens on `port` until closed; `mode` is `well`, `late` (until told otherwise) or `gone`."""

    def __init__(self):
        self.mode = "well"
        self.over = threading.Event()
        handler = type("Handler", (_Handler,), {"engine": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    engine = None

    def answer(self):
        self.close_connection = True
        if self.engine.mode == "gone":
            return
        if self.engine.mode == "late":
            self.engine.over.wait(30)
            return
        try:
            self.reply()
        except OSError:
            pass  # the gate has hung up, as it does when the client has

    def reply(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"{}")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = answer

    def log_message(self, *_):
        pass
