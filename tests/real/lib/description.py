"""The description that an appliance serves at /docs/openapi.json, and whether an answer is as described.

In: finding the operation of a request, the exact content type, the schema, the headers. What many
operations can answer stands under 4XX and 5XX there and names its statuses in `x-statuses`.
"""

import json
import re

from jsonschema import Draft202012Validator
from lib.report import expect
from referencing import Registry
from referencing.jsonschema import DRAFT202012

ROOT = "urn:description"


class Description:
    """`seen` collects what was checked: operation or shared answer, and status."""

    def __init__(self, document):
        self.document = document
        self.registry = Registry().with_resource(ROOT, DRAFT202012.create_resource(document))
        self.seen = set()
        self.operations = {
            operation["operationId"]: (method, path, operation)
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method not in ("parameters", "servers")
        }
        # Literal segments before parameters.
        self.templates = sorted(document["paths"], key=lambda path: (path.count("{"), -len(path)))

    def resolve(self, value):
        while "$ref" in value:
            target = value["$ref"].removeprefix("#/").split("/")
            value = self.document
            for step in target:
                value = value[step]
        return value

    def find(self, method, path, socket=False):
        """The operation of a request, or None; HEAD is GET."""
        method = "get" if method == "HEAD" else method.lower()
        path = path.partition("?")[0]
        for template in self.templates:
            if ("servers" in self.document["paths"][template]) != socket:
                continue
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
            if template.endswith("{value}"):
                pattern = pattern[: -len("[^/]+")] + ".+"  # a mount point has slashes
            if re.fullmatch(pattern, path):
                return self.document["paths"][template].get(method)
        return None

    def documented(self):
        """Every operation and every shared answer with each of its statuses."""
        pairs = set()
        for name, (_, _, operation) in self.operations.items():
            for status, response in operation["responses"].items():
                if status.isdigit():
                    pairs.add((name, int(status)))
                elif status != "default":
                    pairs |= {(group(response), one) for one in self.resolve(response)["x-statuses"]}
        return pairs

    def check(self, method, path, answer, socket=False):
        """Fails unless `answer` is one that the description has for the request."""
        told = f"{method} {path}: {answer}"
        operation = self.find(method, path, socket)
        status = answer.status
        if operation is None:
            # Another method, another path: in the shapes that stand under 4XX.
            expect(status in (301, 308, 400, 401, 403, 404, 405, 413, 414), f"undescribed, {told}")
            return
        answers = operation["responses"]
        name, response = operation["operationId"], answers.get(str(status))
        if response is None:
            shared = answers.get(f"{status // 100}XX")
            if shared and status in self.resolve(shared)["x-statuses"]:
                name, response = group(shared), shared
            else:
                response = answers.get("default")
        expect(response is not None, f"undocumented status, {told}")
        self.seen.add((name, status))
        response = self.resolve(response)
        self.check_headers(response.get("headers", {}), answer, told)
        if "content" in response and method != "HEAD":
            self.check_body(response["content"], answer, told)

    def check_headers(self, fields, answer, told):
        for name, field in fields.items():
            field, value = self.resolve(field), answer.headers.get(name.lower())
            expect(value is not None or not field.get("required"), f"without {name}, {told}")
            if value is not None:
                schema = self.absolute(field["schema"])
                kind = self.resolve(field["schema"]).get("type")
                self.validate(schema, int(value) if kind == "integer" else value, f"{name} of {told}")
        for status, name in ((405, "allow"), (429, "retry-after"), (503, "retry-after"), (401, "www-authenticate")):
            expect(answer.status != status or name in answer.headers, f"without {name}, {told}")

    def check_body(self, content, answer, told):
        kind = answer.headers.get("content-type")
        expect(kind in content, f"{kind} and not {', '.join(content)}, {told}")
        body = answer.body.decode("latin-1" if kind == "application/zip" else "utf-8")
        value = json.loads(body) if kind.startswith("application/json") else body
        self.validate(self.absolute(content[kind]["schema"]), value, told)

    def validate(self, schema, value, told):
        validator = Draft202012Validator(
            schema, registry=self.registry, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        for error in validator.iter_errors(value):
            raise AssertionError(f"{error.json_path}: {error.message[:200]}, {told}")

    def absolute(self, value):
        """References that lead into the document from wherever the schema stands."""
        if isinstance(value, dict):
            return {key: ROOT + inner if key == "$ref" else self.absolute(inner) for key, inner in value.items()}
        return [self.absolute(inner) for inner in value] if isinstance(value, list) else value

    def examples(self):
        """Where an example stands, its schema, its value."""
        for name, (_, _, operation) in self.operations.items():
            places = [(name, operation["requestBody"])] if "requestBody" in operation else []
            places += [(f"{name} {status}", response) for status, response in operation["responses"].items()]
            for place, holder in places:
                for kind, media in self.resolve(holder).get("content", {}).items():
                    named = [self.resolve(one)["value"] for one in media.get("examples", {}).values()]
                    values = named or [media["example"]]
                    for value in values:
                        yield f"{place}, {kind}", self.absolute(media["schema"]), value


def group(response):
    """The name of a shared answer."""
    return response["$ref"].rsplit("/", 1)[1]
