#!/usr/bin/env python3
"""Runs every curl line of docs/http-api.md against the daemon. Each route must have such a line; the keys of
queries must be those of the contract and of the router, and the limits those of the options. Needs curl, jq and
gzip (77 without).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from daemon import MODEL, PATIENCE, SOURCE, ask, check, finish, run as run_daemon, serving
from wire import request

BASE = "http://127.0.0.1:8080"


def commands(text):
    """The commands in the indented blocks; a line that ends with | or \\ continues in the next."""
    command = ""
    for line in text.split("\n"):
        if not line.startswith("    "):
            command = ""
            continue
        command += line + "\n"
        if line.rstrip().endswith(("|", "\\")):
            continue
        if "curl " in command:
            yield command.strip()
        command = ""


def run(command, server, folder):
    """Runs the command in a folder of its own with the daemon's port; fails on an HTTP error."""
    here = command.replace(BASE, "http://127.0.0.1:%d" % server.port)
    here = here.replace("curl ", "curl -sS --fail-with-body --max-time %d " % PATIENCE)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", here], cwd=folder, check=False,
                          capture_output=True, timeout=2 * PATIENCE)


def pattern(path):
    """A regular expression that matches the paths of a path of the contract."""
    return re.compile(re.sub(r"\\{[a-z]+\\}", "[^/:]+", re.escape(path)) + "$")


def test_coverage(server, used):
    doc = json.loads(ask(server, request("/openapi.json", method=b"GET"))[2])
    for path, item in doc["paths"].items():
        for method, operation in item.items():
            if "admin" not in operation["tags"]:
                check(any(pattern(path).match(u) for u in used), "no curl line: %s %s"
                      % (method.upper(), path))


def test_queries(server, text):
    """The tables of each path's section name the query keys that the contract has and the server accepts."""
    doc = json.loads(ask(server, request("/openapi.json", method=b"GET"))[2])
    parameters = doc["components"]["parameters"]
    keys = {}
    for path, item in doc["paths"].items():
        for method, operation in item.items():
            found = [parameters[p["$ref"].split("/")[-1]] if "$ref" in p else p
                     for p in operation.get("parameters", [])]
            keys[path] = method, {p["name"] for p in found if p["in"] == "query"}
    every = set().union(*(found for _, found in keys.values()))
    check({"image", "layer", "length"} <= every, "the contract's keys are found: %s" % every)
    for section in re.split(r"\n## ", text)[1:]:
        for path in re.findall(r"`POST (/[^`]*)`", section.split("\n")[0]):
            named = set(re.findall(r"^\| `([a-z]+)=", section, re.MULTILINE))
            check(named == keys[path][1], "%s: the page has %s, the contract %s"
                  % (path, sorted(named), sorted(keys[path][1])))
    for path, (method, taken) in keys.items():
        here = path.replace("{model}", "digits").replace("{version}", "1")
        for key in every - taken if method == "post" else ():
            answer = ask(server, request("%s?%s=1" % (here, key), b"x", method=b"POST"))
            # A path of the admin socket is refused with any query.
            check(answer[0] == 403 or (answer[0] == 400 and key in json.loads(answer[2])["error"]),
                  "POST %s takes %s: %s" % (path, key, answer))


def test_limits(text):
    """The table of limits has each option with its default."""
    code, printed, _ = run_daemon("--print-config")
    defaults = dict(re.findall(r"^([a-z-]+) = ?(.*)$", printed, re.MULTILINE))
    rows = re.findall(r"^\|[^|]*\| `([a-z-]+)` \| ([^|]*) \|", text.split("## Limits at a glance")[1],
                      re.MULTILINE)
    check(code == 0 and len(rows) > 12, "the table is found: %s" % rows)
    for name, value in rows:
        check(value.split(":")[0] == defaults.get(name), "%s is %s, the page says %s"
              % (name, defaults.get(name), value))
    limits = {name for name in defaults if re.match(r"max-|.*-timeout$|least-|queue-|memory-", name)}
    absent = limits - {name for name, _ in rows} - {"stall-timeout", "shutdown-timeout"}
    check(not absent, "limits that the table lacks: %s" % absent)


def main():
    if not os.path.exists(MODEL) or not all(map(shutil.which, ("curl", "jq", "gzip"))):
        print("curl, jq, gzip or %s is missing" % MODEL)
        return 77
    with open(os.path.join(SOURCE, "docs", "http-api.md"), encoding="utf-8") as file:
        text = file.read()
    used = set()
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        for name in "tests", "examples":
            os.symlink(os.path.abspath(os.path.join(SOURCE, name)), os.path.join(folder, name))
        for command in commands(text):
            result = run(command, server, folder)
            check(result.returncode == 0, "%s\n%d: %s%s" % (
                command, result.returncode, result.stdout[:300].decode("utf-8", "replace"),
                result.stderr.decode()))
            used.update(re.findall(re.escape(BASE) + r"([^\s'?]*)", command))
        print("%d commands" % len(list(commands(text))))
        check("/predict" in used and len(used) > 20, "the commands are found: %s" % used)
        test_coverage(server, used)
        test_queries(server, text)
    test_limits(text)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
