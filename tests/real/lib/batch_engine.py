"""A stand-in for the batch engine: enough of its REST API, versions 1 and 2, for the real clients.

The transcript names size and checksum of the audio that arrived, so that it can only be right if the
upload was. A job is `running` when it is asked for first and `done` from then on.
"""

import email.parser
import email.policy
import hashlib
import itertools
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CREATED = "2026-01-02T03:04:05.000Z"


def words(audio):
    """What the engines hear in `audio`."""
    return ["heard", str(len(audio)), "bytes", hashlib.sha256(audio).hexdigest()[:16]]


class BatchEngine:
    """Listens on `port` until closed. `authorizations` holds that field of every request, or None."""

    def __init__(self):
        self.jobs = {}
        self.numbers = itertools.count(1)
        self.authorizations = []
        handler = type("Handler", (_Handler,), {"engine": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._answer()

    def do_POST(self):
        self._answer()

    def do_DELETE(self):
        self._answer()

    def _answer(self):
        self.engine.authorizations.append(self.headers["Authorization"])
        body = self._body()
        url = urlsplit(self.path)
        parts = [part for part in url.path.split("/") if part]
        if parts[:2] == ["v2", "jobs"]:
            status, answer = self._version_2(parts[2:], parse_qs(url.query), body)
        elif len(parts) >= 4 and parts[1] == "user" and parts[3] == "jobs":
            status, answer = self._version_1(parts[4:], body)
        else:
            status, answer = 404, {"code": 404, "error": "Not found"}
        self._send(status, answer)

    def _version_2(self, rest, query, body):
        if not rest:
            if self.command == "POST":
                return 201, {"id": self._new_job(body)}
            return 200, {"jobs": [self._details(job) for job in self.engine.jobs]}
        job = self.engine.jobs.get(rest[0])
        if job is None:
            return 404, {"code": 404, "error": "Job not found"}
        if rest[1:] == ["transcript"]:
            if query.get("format") == ["txt"]:
                return 200, " ".join(words(job["audio"]))
            return 200, self._transcript(rest[0])
        if self.command == "DELETE":
            del self.engine.jobs[rest[0]]
            return 200, {"job": {"id": rest[0], "created_at": CREATED, "data_name": "", "status": "deleted"}}
        details = self._details(rest[0])
        job["status"] = "done"
        return 200, {"job": details}

    def _version_1(self, rest, body):
        if self.command == "POST" and not rest:
            return 200, {"balance": 90, "cost": 0.5, "id": int(self._new_job(body))}
        return 200, {"jobs": [{"id": int(job), "job_status": "done"} for job in self.engine.jobs]}

    def _new_job(self, body):
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
            b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
        )
        parts = {part.get_param("name", header="content-disposition"): part for part in form.iter_parts()}
        number = str(next(self.engine.numbers))
        self.engine.jobs[number] = {
            "audio": parts["data_file"].get_payload(decode=True),
            "name": parts["data_file"].get_filename(),
            "config": json.loads(parts["config"].get_payload(decode=True)) if "config" in parts else {},
            "status": "running",
        }
        return number

    def _details(self, number):
        job = self.engine.jobs[number]
        return {
            "id": number,
            "created_at": CREATED,
            "data_name": job["name"],
            "duration": 1,
            "status": job["status"],
            "config": job["config"],
        }

    def _transcript(self, number):
        job = self.engine.jobs[number]
        return {
            "format": "2.9",
            "job": {"id": number, "created_at": CREATED, "data_name": job["name"], "duration": 1},
            "metadata": {"created_at": CREATED, **job["config"]},
            "results": results(words(job["audio"])),
        }

    def _body(self):
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def _send(self, status, answer):
        is_text = isinstance(answer, str)
        body = answer.encode() if is_text else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def results(spoken):
    """Words in the form of the transcript formats of both engines."""
    return [
        {
            "type": "word",
            "start_time": n * 0.1,
            "end_time": (n + 1) * 0.1,
            "alternatives": [{"content": word, "confidence": 1.0, "language": "en"}],
        }
        for n, word in enumerate(spoken)
    ]
