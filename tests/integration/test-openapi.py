#!/usr/bin/env python3
"""Compares GET /openapi.json with the server: its schemas are valid, each of its examples is posted, and each
answer has a status, a type and a body that it describes. Needs python3-jsonschema (77 without).
"""
import json
import os
import sys

try:
    import jsonschema
except ImportError:
    # The first python3 in PATH may not be the one with the package.
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
    print("python3-jsonschema is missing")
    sys.exit(77)

from daemon import MODEL, SOURCE, ask, check, finish, serving
from wire import request

with open(os.path.join(SOURCE, "tests", "data", "seven.png"), "rb") as png:
    SEVEN = png.read()


def shorter(value):
    """The value with long lists cut: a network has millions of values, which are all alike."""
    if isinstance(value, dict):
        return {name: shorter(item) for name, item in value.items()}
    return [shorter(item) for item in value[:40]] if isinstance(value, list) else value


class Contract:
    def __init__(self, text):
        self.doc = json.loads(text)
        self.paths = self.doc["paths"]

    def find(self, item):
        """The object that a $ref refers to."""
        while "$ref" in item:
            where, item = item["$ref"], self.doc
            for name in where[2:].split("/"):
                item = item[name]
        return item

    def operations(self):
        for path, item in self.paths.items():
            for method, operation in item.items():
                yield path, method, operation

    def parameters(self, operation, place):
        found = [self.find(p) for p in operation.get("parameters", [])]
        return {p["name"]: p for p in found if p["in"] == place}

    def validate(self, value, schema):
        """None, or the fault."""
        whole = dict(schema, components=self.doc["components"])
        for error in jsonschema.Draft202012Validator(whole).iter_errors(value):
            return "%s at %s" % (error.message[:200], list(error.absolute_path))
        return None

    def complaint(self, operation, answer):
        """None, or the difference between the answer and the description."""
        status, headers, body = answer
        response = operation["responses"].get(str(status))
        if response is None:
            return "status %d is not described" % status
        response = self.find(response)
        for name in response.get("headers", {}):
            if name.lower() not in headers:
                return "%s is missing" % name
        kind = headers.get("content-type", "").split(";")[0]
        if kind not in response["content"]:
            return "type %s is not described for %d" % (kind, status)
        if kind != "application/json":
            return None if body else "an empty body"
        return self.validate(shorter(json.loads(body)), response["content"][kind]["schema"])


def test_document(contract):
    check(contract.doc["openapi"].startswith("3."), "version")
    seen = set()
    for path, method, operation in contract.operations():
        name = operation["operationId"]
        check(name not in seen, "operationId %s twice" % name)
        seen.add(name)
        holes = {part[1:part.index("}")] for part in path.split("/") if part.startswith("{")}
        check(set(contract.parameters(operation, "path")) == holes, "%s: parameters" % path)
        check("200" in operation["responses"] and operation["summary"], "%s %s" % (method, path))
        for response in operation["responses"].values():
            for content in contract.find(response)["content"].values():
                check_schema(content["schema"], path)
    for name, schema in contract.doc["components"]["schemas"].items():
        check_schema(schema, name)
    check_references(contract, contract.doc)


def check_schema(schema, name):
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        check(False, "%s: %s" % (name, error.message))


def check_references(contract, item):
    if isinstance(item, dict):
        if "$ref" in item:
            check(isinstance(contract.find(item), dict), item["$ref"])
        item = list(item.values())
    for one in item if isinstance(item, list) else []:
        check_references(contract, one)


def fill(contract, path, operation, **other):
    """The path with the examples of its parameters."""
    for name, parameter in contract.parameters(operation, "path").items():
        path = path.replace("{%s}" % name, other.get(name, parameter.get("example")))
    return path


def bodies(contract, operation):
    """(what it is, header, body): every example, and the picture for each type that accepts one."""
    described = contract.find(operation["requestBody"])
    for kind, content in described["content"].items():
        header = b"Content-Type: %s\r\n" % kind.encode()
        for name, example in content.get("examples", {}).items():
            error = contract.validate(example["value"], content["schema"])
            check(error is None, "example %s: %s" % (name, error))
            yield kind + " " + name, header, json.dumps(example["value"]).encode()
        if kind == "image/png":
            yield kind, header, SEVEN
        elif kind == "application/octet-stream":
            if "Inference-Header-Content-Length" in contract.parameters(operation, "header"):
                header += b"Inference-Header-Content-Length: 0\r\n"
            yield kind, header, bytes(range(196)) * 4
        elif kind == "multipart/form-data":
            yield kind, header[:-2] + b"; boundary=xx\r\n", \
                b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n" + SEVEN + b"\r\n--xx--"
    if not described["required"]:
        yield "no body", b"", b""


def expect(contract, operation, what, answer, expected):
    complaint = contract.complaint(operation, answer)
    check(answer[0] == expected and complaint is None,
          "%s: %s (expected %d): %s" % (what, answer[0], expected, complaint or answer[2][:200]))


def test_operation(contract, server, path, method, operation):
    here = fill(contract, path, operation)
    what = method.upper() + " " + path
    if "admin" in operation["tags"]:
        expect(contract, operation, what + " by TCP", ask(server, request(here)), 403)
        return
    if method == "get":
        expect(contract, operation, what, ask(server, request(here, method=b"GET")), 200)
    else:
        for kind, header, body in bodies(contract, operation):
            expect(contract, operation, what + " " + kind,
                   ask(server, request(here, body, header)), 200)
        for name, parameter in contract.parameters(operation, "query").items():
            asked = "%s?%s=%s" % (here, name, parameter["example"])
            expect(contract, operation, what + " " + asked, ask(server, request(asked, SEVEN)), 200)
        for name, parameter in contract.parameters(operation, "header").items():
            for value, status in ((parameter.get("example"), 200), ("soon", 400)):
                kind, header, body = next(bodies(contract, operation))
                header += b"%s: %s\r\n" % (name.encode(), str(value).encode())
                if value is not None:
                    expect(contract, operation, "%s %s, %s: %s" % (what, kind, name, value),
                           ask(server, request(here, body, header)), status)
        refuse(contract, server, what, here, operation)
    names = contract.parameters(operation, "path")
    for name, absent in (("model", "letters"), ("version", "77")):
        if name in names:
            there = fill(contract, path, operation, **{name: absent})
            expect(contract, operation, what + " without " + name,
                   ask(server, request(there, b"x" if method == "post" else b"",
                                       method=method.upper().encode())), 404)


def refuse(contract, server, what, path, operation):
    """The contract describes the statuses that are easy to provoke."""
    described = contract.find(operation["requestBody"])
    required = described["required"]
    as_json = 400 if "application/json" in described["content"] else 415
    cases = [("a broken body", request(path, b'{"images": [', b"Content-Type: application/json\r\n"),
              as_json),
             ("an unknown coding", request(path, b"x", b"Content-Encoding: br\r\n"), 415),
             ("a body over the limit", b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n"
              b"Content-Length: 999999999\r\n\r\n", 413)]
    if required:
        cases.append(("no length", b"POST " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n", 411))
    for name, message, status in cases:
        expect(contract, operation, what + " " + name, ask(server, message), status)


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with serving() as server:
        status, headers, text = ask(server, request("/openapi.json", method=b"GET"))
        check(status == 200 and headers["content-type"] == "application/json", "the document")
        contract = Contract(text)
        test_document(contract)
        count = 0
        for path, method, operation in contract.operations():
            test_operation(contract, server, path, method, operation)
            count += 1
        print("%d operations" % count)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
