#!/usr/bin/env python3
"""Executes README.md from top to bottom on a copy of the tree: quickstart, the first question, the Install
line; then the same build folder is configured for another prefix, and its programs must look there. Compiles
for minutes: part of `make check-long`. Uses CC and CFLAGS of the environment. Needs git, curl and the packages
that quickstart would install (77 without).
"""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile

from daemon import SOURCE, check, finish


def shell(command, folder, expected=0, environment=None):
    env = dict(os.environ, **(environment or {}))
    result = subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, env=env,
                            check=False, capture_output=True)
    text = result.stdout.decode("utf-8", "replace")
    check(result.returncode == expected, "%s\n%d: %s%s" % (
        command, result.returncode, text[-2000:], result.stderr.decode("utf-8", "replace")[-2000:]))
    return text


def copy_tree(folder):
    names = subprocess.run(["git", "-C", SOURCE, "ls-files", "-z"], check=True,
                           capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        to = os.path.join(folder, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(SOURCE, name), to, follow_symlinks=False)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def readme_section(name):
    with open(os.path.join(SOURCE, "README.md"), encoding="utf-8") as file:
        text = file.read()
    section = re.search(r"^## %s\n(.*?)(?=^## )" % name, text, re.M | re.S).group(1)
    return [x.strip() for x in re.findall(r"^    (.*)$", section, re.M)]


def test_start(tree):
    port = free_port()
    commands = readme_section("Start")
    check(commands[0].startswith("./quickstart "), "the first line: %s" % commands)
    said = shell("./quickstart --port %d" % port, tree)
    check("without the unit tests" in said, "it says what it leaves out: %s" % said)
    check("make: " in said, "it says how long it took: %s" % said)
    curl = next(x for x in commands if x.startswith("curl "))
    answer = json.loads(shell(curl.replace("curl ", "curl -sS ").replace("8080", str(port)), tree))
    check(answer["predictions"][0]["label"] == "7", "the seven: %s" % answer)
    shell("./quickstart --port %d stop" % port, tree)


def folder_of(program, root=""):
    """The folder where an installed daemon looks for models."""
    said = subprocess.run([root + program, "--model=letters", "--check-config"], check=False,
                          capture_output=True).stderr.decode()
    return os.path.dirname(re.search(r"(/.*/letters\.safetensors): cannot open", said).group(1))


def test_install(tree, folder):
    lines = readme_section("Install")
    lines = lines[[i for i, x in enumerate(lines) if x.startswith("autoreconf")][0]:]
    install = "\n".join(lines[:[i for i, x in enumerate(lines) if "make install" in x][0] + 1])
    root = os.path.join(folder, "root")
    shell(install.replace("sudo make install", "make install DESTDIR=" + root), tree)
    check(folder_of("/usr/sbin/convnetd", root) == "/usr/share/convnetd/models", "README's prefix")
    # The same build folder for another prefix: the programs must not contain the first one.
    prefix = os.path.join(folder, "opt")
    again = re.sub(r"--prefix=\S+ --sysconfdir=\S+ --localstatedir=\S+", "--prefix=" + prefix, install)
    shell(again.replace("sudo ", ""), tree)
    daemon = os.path.join(prefix, "sbin", "convnetd")
    check(folder_of(daemon) == os.path.join(prefix, "share/convnetd/models"), "the other prefix")
    shell("%s --config %s/etc/convnetd.conf --port=0 --check-config" % (daemon, prefix), folder)
    shell("%s/bin/convnet info digits" % prefix, folder)


def main():
    if not all(map(shutil.which, ("git", "curl", "dpkg-query", "autoreconf"))) or subprocess.run(
            ["git", "-C", SOURCE, "rev-parse"], check=False, capture_output=True).returncode:
        print("git, curl, autoconf or the repository is missing")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        tree = os.path.join(folder, "tree")
        copy_tree(tree)
        test_start(tree)
        test_install(tree, folder)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
