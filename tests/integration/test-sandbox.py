#!/usr/bin/env python3
"""The daemon has given up the rights that it does not need, and still does all its work: reloads through links,
certificates, keys, the admin socket, shutdown."""
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

from daemon import DAEMON, MODEL, SOURCE, ask, check, finish, get, post, run, serving

SANITIZED = any(x in os.environ.get("sanitizer", "") for x in ("address", "thread"))


def said(server):
    """The log line that says which restrictions hold."""
    server.wait_for("listening on ")
    return [x for x in server.lines if "sandbox: " in x]


def status_of(server, name):
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as file:
        return [x.split()[1] for x in file if x.startswith(name + ":")][0]


def test_line(folder):
    with serving() as server:
        lines = said(server)
        check(len(lines) == 1, "one line says what holds: %s" % (lines,))
        if SANITIZED:
            check("none in a build with a sanitizer" in lines[0], lines[0])
        elif "seccomp)" in lines[0]:
            check(status_of(server, "Seccomp") == "2", "a filter is in force")
        check(ask(server, post(bytes(784)))[0] == 200, "it answers")
        check(ask(server, get("/metrics"))[0] == 200, "it reads /proc")
    with serving("--no-sandbox") as server:
        check("none, as no-sandbox says" in said(server)[0], "no sandbox: %s" % said(server))
        check(status_of(server, "Seccomp") == "0", "no filter")


def point(link, target):
    """Replaces a symbolic link atomically, as operators do."""
    os.symlink(target, link + ".new")
    os.rename(link + ".new", link)


def call(path, *words):
    return run(*words, "--admin-socket=" + path)


def test_reload_through_links(folder):
    """current -> releases/1, then -> releases/2; and a file in another place."""
    admin = os.path.join(folder, "admin.sock")
    releases, elsewhere = os.path.join(folder, "srv", "releases"), os.path.join(folder, "elsewhere")
    os.makedirs(elsewhere)
    for name in ("1", "2"):
        os.makedirs(os.path.join(releases, name))
    shutil.copy(MODEL, os.path.join(releases, "1", "digits.safetensors"))
    small = os.path.join(SOURCE, "models", "digits-small.safetensors")
    shutil.copy(small, os.path.join(releases, "2", "digits.safetensors"))
    shutil.copy(small, os.path.join(elsewhere, "digits.safetensors"))
    current = os.path.join(folder, "srv", "current")
    point(current, "releases/1")
    with serving("--admin-socket=" + admin, model=os.path.join(current, "digits.safetensors")) as s:
        landlock = "(Landlock)" in said(s)[0]
        point(current, "releases/2")
        result = call(admin, "reload")
        check(result[0] == 0 and "1 loaded" in result[1], "a turned link: %s" % (result,))
        # The same place, replaced by a new file.
        new = os.path.join(releases, "2", "new")
        shutil.copy(MODEL, new)
        os.rename(new, os.path.join(releases, "2", "digits.safetensors"))
        result = call(admin, "reload")
        check(result[0] == 0 and "1 loaded" in result[1], "a new file: %s" % (result,))
        point(current, elsewhere)
        result = call(admin, "reload")
        if landlock:
            check(result[0] == 1 and "denied" in result[2], "a place unknown: %s" % (result,))
        check(ask(s, get("/v2/models/digits"))[0] == 200, "the model is still served")
    check(not os.path.exists(admin), "the admin socket is removed at the end")


def test_model_folder_and_keys(folder):
    admin, models = os.path.join(folder, "b.sock"), os.path.join(folder, "models")
    keys = os.path.join(folder, "keys")
    os.mkdir(models)
    shutil.copy(MODEL, os.path.join(models, "a.safetensors"))
    with open(keys, "w", encoding="ascii") as file:
        file.write("0123456789abcdef one\n")
    os.chmod(keys, 0o600)
    with serving("--admin-socket=" + admin, "--model-dir=" + models, "--api-keys-file=" + keys,
                 model=None) as s:
        shutil.copy(MODEL, os.path.join(models, "b.safetensors"))
        with open(keys + ".new", "w", encoding="ascii") as file:
            file.write("fedcba9876543210 two\n")
        os.chmod(keys + ".new", 0o600)
        os.rename(keys + ".new", keys)
        result = call(admin, "reload")
        check(result[0] == 0 and "1 loaded, 1 unchanged" in result[1], "a new model: %s" % (result,))
        with_key = lambda key: get("/v2/models/b", b"X-API-Key: %s\r\n" % key)
        check(ask(s, with_key(b"fedcba9876543210"))[0] == 200, "the new key is known")
        check(ask(s, with_key(b"0123456789abcdef"))[0] == 401, "the old one is not")
        for words in (("unload", "b"), ("load", "b"), ("models",), ("status",), ("stats",)):
            check(call(admin, *words)[0] == 0, "%s" % (words,))
        s.process.send_signal(signal.SIGHUP)
        check(s.wait_for("reload done: 0 loaded, 2 unchanged"), "SIGHUP")


def test_full_files(folder):
    """A limit of file sizes, which stops the log, ends neither the daemon nor a save."""
    log = os.path.join(folder, "log")
    most = 4096  # LLVM's OpenMP needs space for its own shared memory
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    with open(log, "wb") as file:
        process = subprocess.Popen([DAEMON, "--model=" + MODEL, "--port=0", "--access-log",
                                    "--admin-socket=" + os.path.join(folder, "c.sock")],
                                   stderr=file, preexec_fn=limit)
    try:
        for _ in range(600):
            result = run("status", "--admin-socket=" + os.path.join(folder, "c.sock"))
            if result[0] == 0 or process.poll() is not None:
                break
        for _ in range(400):
            result = run("status", "--admin-socket=" + os.path.join(folder, "c.sock"))
            if result[0] != 0 or os.path.getsize(log) == most:
                break
        result = run("status", "--admin-socket=" + os.path.join(folder, "c.sock"))
        check(result[0] == 0, "it answers with a log that is full: %s" % (result,))
        check(os.path.getsize(log) == most, "the log is full")
    finally:
        process.send_signal(signal.SIGTERM)
        check(process.wait(30) == 0, "it ends as asked")
    output = os.path.join(folder, "m.safetensors")
    done = subprocess.run([os.path.join(os.path.dirname(DAEMON), "convnet"), "edit", MODEL, "-o",
                           output], preexec_fn=limit, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 1 and b"too large" in done.stderr, "a save: %s" % (done,))
    check(not os.path.exists(output) and not [x for x in os.listdir(folder) if x.startswith(".m")],
          "nothing is left of it")


def main():
    with contextlib.ExitStack() as stack:
        for test in (test_line, test_reload_through_links, test_model_folder_and_keys,
                     test_full_files):
            test(stack.enter_context(tempfile.TemporaryDirectory()))
    return finish()


if __name__ == "__main__":
    sys.exit(main())
