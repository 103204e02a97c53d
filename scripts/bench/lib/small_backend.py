"""A service for `counts`: needs no build. `GET …/bytes/N` is answered with N bytes, all else with little.

usage: small_backend.py PORT
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SMALL, PIECE = b'{"status":"ok"}', bytes(256 << 10)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 20  # a head and a small body leave together
    disable_nagle_algorithm = True

    def head(self, length):
        self.send_response_only(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def do_GET(self):
        if "/bytes/" not in self.path:
            self.head(len(SMALL))
            self.wfile.write(SMALL)
            return
        left = int(self.path.rsplit("/", 1)[1])
        self.head(left)
        while left > 0:
            left -= self.wfile.write(PIECE[:left])

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        while left > 0:
            left -= len(self.rfile.read(min(left, len(PIECE))))
        self.do_GET()

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
