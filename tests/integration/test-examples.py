#!/usr/bin/env python3
"""Each file of examples/ against a daemon, and with the library of this build: all read the seven. Examples
that need a missing module or interpreter are named and skipped. 77 without curl.
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

from daemon import BUILD, MODEL, SOURCE, check, finish, serving

EXAMPLES = os.path.join(SOURCE, "examples")
LIBRARY = os.path.join(BUILD, ".libs", "libconvnet.so")
RUN = set()


def pixels(path):
    """The samples of a grey PNG of 8 bits without interlacing, as seven.png is one."""
    with open(path, "rb") as file:
        data = file.read()[8:]
    packed = b""
    while data:
        length, kind = struct.unpack(">I4s", data[:8])
        if kind == b"IHDR":
            width, height = struct.unpack(">II", data[8:16])
        if kind == b"IDAT":
            packed += data[8:8 + length]
        data = data[12 + length:]
    raw, before, out = zlib.decompress(packed), bytes(width), b""
    for y in range(height):
        line = bytearray(raw[y * (width + 1):(y + 1) * (width + 1)])
        for x in range(1, width + 1):
            left, up = (line[x - 1] if x > 1 else 0), before[x - 1]
            corner = before[x - 2] if x > 1 else 0
            paeth = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[line[0]]) & 255
        before = bytes(line[1:])
        out += before
    return out


def example(name, *arguments, command=(), expected="7", environment=None):
    """Runs one example; the second word of its first line is the digit. "" if `command` is None."""
    RUN.add(name)
    if command is None:
        print(name + ": left out: its interpreter or module is missing")
        return ""
    done = subprocess.run([*command, os.path.join(EXAMPLES, name), *arguments], text=True,
                          capture_output=True, check=False, timeout=120,
                          env={**os.environ, **(environment or {})})
    check(done.returncode == 0, "%s: %d %s" % (name, done.returncode, done.stderr[-1000:]))
    words = done.stdout.splitlines()[0].split(" ") if done.stdout else [""]
    check(expected is None or (len(words) > 1 and words[1] == expected), "%s says %r" % (name, done.stdout))
    return done.stdout


def python(module):
    """A Python with the module, this one or the system's; None if there is none."""
    for program in sys.executable, "/usr/bin/python3":
        if os.path.exists(program) and subprocess.run(
                [program, "-c", "import " + module], capture_output=True, check=False).returncode == 0:
            return [program]
    return None


def node():
    """A node that has fetch."""
    done = shutil.which("node") and subprocess.run(["node", "-e", "fetch"], capture_output=True, check=False)
    return ["node"] if done and done.returncode == 0 else None


def run_all(folder):
    seven = os.path.join(folder, "seven.png")
    shutil.copy(os.path.join(EXAMPLES, "seven.png"), seven)
    again = os.path.join(folder, "a picture's other name.png")
    shutil.copy(seven, again)
    with serving() as server:
        address = "127.0.0.1:%d" % server.port
        url = "http://" + address
        two = example("predict_requests.py", url, seven, seven, command=python("requests"))
        check(two == "" or len(two.splitlines()) == 2, "one line per picture: %r" % two)
        example("predict_httpx.py", url, seven, seven, command=python("httpx"))
        plain = example("infer_kserve.py", url, "digits", seven, seven)
        check(len(plain.splitlines()) == 2, "one line per picture of a tensor: %r" % plain)
        example("infer_triton.py", address, "digits", seven, command=python("tritonclient.http"))
        example("predict.mjs", url, seven, command=node())
        example("predict-parallel", url, seven, again, expected=None)
        for answer in seven + ".json", again + ".json":
            with open(answer, encoding="utf-8") as file:
                check(json.load(file)["predictions"][0]["label"] == "7", answer)
        # A refusal is reported with the server's message.
        if python("requests"):
            done = subprocess.run(python("requests") + [os.path.join(EXAMPLES, "predict_requests.py"), url, __file__],
                                  capture_output=True, text=True, check=False, timeout=60)
            check(done.returncode != 0 and ": 4" in done.stderr, "a refusal: %r" % done.stderr)
    raw = os.path.join(folder, "seven.raw")
    with open(raw, "wb") as file:
        file.write(pixels(seven))
    RUN.add("predict_ctypes.py")
    if os.environ.get("sanitizer", "no") == "no" and os.path.exists(LIBRARY):
        example("predict_ctypes.py", MODEL, raw, environment={"LIBCONVNET": os.path.abspath(LIBRARY)})
    else:
        print("predict_ctypes.py: left out: there is no shared library without a sanitizer")


def main():
    if not shutil.which("curl"):
        print("curl is missing")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        run_all(folder)
    RUN.update(("classify.c", "seven.png", "README.md"))  # test-library.py tests the first one
    check(RUN == set(os.listdir(EXAMPLES)) - {"__pycache__"},
          "tested and there: %s" % sorted(RUN ^ set(os.listdir(EXAMPLES))))
    with open(os.path.join(EXAMPLES, "README.md"), encoding="utf-8") as file:
        text = file.read()
    for name in RUN - {"README.md", "seven.png"}:
        check("`%s`" % name in text, "examples/README.md leaves out " + name)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
