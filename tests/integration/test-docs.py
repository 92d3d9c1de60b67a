#!/usr/bin/env python3
"""Runs every curl line of docs/http-api.md against the daemon, and wants each route to have one.

Needs curl, jq and gzip (77 without).
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

from daemon import MODEL, PATIENCE, SOURCE, ask, check, finish, serving
from wire import request

BASE = "http://127.0.0.1:8080"


def commands(text):
    """The indented blocks' commands; a line that ends with | or \\ goes on in the next."""
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
    """The command in a folder of its own, with the daemon's port; fails on an HTTP error."""
    here = command.replace(BASE, "http://127.0.0.1:%d" % server.port)
    here = here.replace("curl ", "curl -sS --fail-with-body --max-time %d " % PATIENCE)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", here], cwd=folder, check=False,
                          capture_output=True, timeout=2 * PATIENCE)


def pattern(path):
    """A path of the contract as a regular expression for the paths that fit it."""
    return re.compile(re.sub(r"\\{[a-z]+\\}", "[^/:]+", re.escape(path)) + "$")


def test_coverage(server, used):
    doc = json.loads(ask(server, request("/openapi.json", method=b"GET"))[2])
    for path, item in doc["paths"].items():
        for method, operation in item.items():
            if "admin" not in operation["tags"]:
                check(any(pattern(path).match(u) for u in used), "no curl line: %s %s"
                      % (method.upper(), path))


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
    return finish()


if __name__ == "__main__":
    sys.exit(main())
