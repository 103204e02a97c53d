"""Requests that schemathesis makes from the description, good ones and bad ones, against the real binary.

Nothing is left out: what would lock us out or send license calls into the void is put back over the
control socket after each such request.
"""

import json
import time
import warnings

import hypothesis
import requests
import schemathesis
from lib.report import expect
from schemathesis.generation import GenerationMode

# Answers that are 500 by rule ML-31 and following (src/manual.md) say why in a stable word.
SAYS_WHY = b'"reason"'
PUT_BACK = {
    "setAcme": ("DELETE", "/v1/security/acme", None),
    "setJobToken": ("DELETE", "/v1/security/jobtoken", None),
    "setPassword": ("DELETE", "/v1/security/adminpassword", None),
    "setPlainHttp": ("POST", "/v1/security/insecureports", '{"enable_insecure_ports": true}'),
    "setProxy": ("POST", "/v1/management/license/network", "{}"),
}


class Fuzz:
    """`run` asks every operation in turn, again and again, until the time is over."""

    def __init__(self, description, door, usage, control, seed):
        self.description, self.door, self.usage, self.control, self.seed = description, door, usage, control, seed
        self.requests = 0
        self.statuses = {}
        warnings.simplefilter("ignore")

    def run(self, seconds):
        until = time.monotonic() + seconds
        schema = schemathesis.openapi.from_dict(self.description.document)
        operations = [result.ok() for result in schema.get_all_operations()]
        turn = 0
        while time.monotonic() < until:
            for operation in operations:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    self.some(operation, mode, self.seed + turn)
                if time.monotonic() > until and turn:
                    break
            turn += 1
        told = ", ".join(f"{count} times {status}" for status, count in sorted(self.statuses.items()))
        return f"{self.requests} requests in {turn} turns, seed {self.seed}: {told}"

    def some(self, operation, mode, seed):
        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=6, deadline=None, database=None, derandomize=False,
            phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            self.one(case)

        try:
            ask()
        except hypothesis.errors.Unsatisfiable:
            pass  # there is nothing to get wrong in a request without a body and parameters
        except BaseException as error:
            if type(error).__name__ not in ("SkipTest", "Skipped", "Unsatisfiable"):
                raise

    def one(self, case):
        socket = case.operation.definition.raw.get("tags") == ["Seconds"]
        door = self.usage if socket else self.door
        sent = case.as_transport_kwargs(base_url="http://localhost")
        made = requests.Request(
            **{key: sent[key] for key in ("method", "url", "params", "data", "json", "files", "headers") if key in sent}
        ).prepare()
        # A made-up password would be a guess, and soon nobody would be let in.
        ours = ("Authorization", "Content-Length", "Transfer-Encoding")
        headers = {name: value for name, value in made.headers.items() if name not in ours}
        answer = door.ask(made.method, made.path_url, made.body, headers)
        self.requests += 1
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        back = PUT_BACK.get(case.operation.definition.raw["operationId"].rstrip("12").rstrip("V"))
        if back:
            done = self.control.ask(*back)
            expect(done.status == 200, f"not put back: {done}")
        try:
            self.judge(case, made, answer, socket)
        except AssertionError as error:
            told = f"{made.method} {made.path_url} {made.body!r}"
            raise AssertionError(f"{error} (sent: {told[:400]})") from None

    def judge(self, case, made, answer, socket):
        # The engines of the settings may not be there.
        unhealthy = (made.path_url, answer.status) == ("/healthz", 503)
        expect(answer.status < 500 or SAYS_WHY in answer.body or unhealthy, f"{made.method} {made.path_url}: {answer}")
        self.description.check(made.method, made.path_url, answer, socket)
        if answer.status == 200 and made.body:
            body = self.description.resolve(case.operation.definition.raw.get("requestBody", {}))
            schema = body.get("content", {}).get("application/json", {}).get("schema")
            if schema:
                # What was taken must be what the description says is taken, whatever its content type.
                self.description.validate(self.description.absolute(schema), json.loads(made.body), "taken all the same")
