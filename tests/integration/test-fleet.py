#!/usr/bin/env python3
"""HAProxy in front of three daemons, each in a network namespace of its own: under load hosts are killed,
paused, cut off and restarted one after another, and a model is changed host by host.

Every request must be answered, with one retry at most, by the model that it names; the bytes of an answer are
those of this model, or during the change those of its successor. The configuration is the shipped
etc/haproxy.cfg, with another place of its socket. FLEET_REQUESTS is the least number of requests (1000000; for
a quick run: FLEET_REQUESTS=20000). Needs root, ip and haproxy (77 without).
"""
import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from daemon import DAEMON, SOURCE, check, finish

REQUESTS = int(os.environ.get("FLEET_REQUESTS", "1000000"))
CLIENTS = 16
PATIENCE = 120.0
HOSTS = {"a": "192.0.2.11", "b": "192.0.2.12", "c": "192.0.2.13"}
GATEWAY = ("192.0.2.1", 8000)
MODELS = os.path.join(SOURCE, "models")
with open(os.path.join(SOURCE, "tests", "data", "seven.png"), "rb") as seven:
    SEVEN = seven.read()


def sh(*arguments):
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout


def until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("waited in vain: " + what)
        os.sched_yield()


class Network:
    """A switch in one namespace, where HAProxy and the clients are, with a link to each host's namespace."""

    def __init__(self):
        self.prefix = "convnetd%d" % os.getpid()
        self.gateway = self.prefix + "gateway"
        self.made = []
        self._space(self.gateway)
        self.ip("link", "add", "switch", "type", "bridge")
        self.ip("address", "add", GATEWAY[0] + "/24", "dev", "switch")
        self.ip("link", "set", "switch", "up")
        for name, address in HOSTS.items():
            space = self.space(name)
            self._space(space)
            self.ip("link", "add", "to-" + name, "type", "veth", "peer", "name", "eth0",
                    "netns", space)
            self.ip("link", "set", "to-" + name, "master", "switch", "up")
            sh("ip", "-n", space, "address", "add", address + "/24", "dev", "eth0")
            sh("ip", "-n", space, "link", "set", "eth0", "up")

    def _space(self, name):
        sh("ip", "netns", "add", name)
        self.made.append(name)
        sh("ip", "-n", name, "link", "set", "lo", "up")

    def space(self, name):
        return self.prefix + name

    def ip(self, *arguments):
        sh("ip", "-n", self.gateway, *arguments)

    def cable(self, name, state):
        self.ip("link", "set", "to-" + name, state)

    def close(self):
        for name in self.made:
            subprocess.run(["ip", "netns", "delete", name], check=False)


class Host:
    """A convnetd in its namespace, with a model folder of its own."""

    def __init__(self, network, name, folder):
        self.network, self.name = network, name
        self.models = os.path.join(folder, name)
        self.admin = os.path.join(folder, name + ".sock")
        self.log = open(os.path.join(folder, name + ".log"), "ab")
        os.mkdir(self.models)
        for model in ("digits", "digits-small"):
            shutil.copy(os.path.join(MODELS, model + ".safetensors"), self.models)
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.network.space(self.name), DAEMON, "--port=8080",
             "--model-dir=" + self.models, "--default-model=digits", "--address=" + HOSTS[self.name],
             "--insecure=yes", "--admin-socket=" + self.admin, "--threads=1", "--http-threads=1",
             "--shutdown-delay=3"], stdout=self.log, stderr=self.log)

    def reload(self):
        return subprocess.run([DAEMON, "reload", "--admin-socket=" + self.admin],
                              capture_output=True, text=True, check=False)

    def end(self, sig):
        self.process.send_signal(sig)
        self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.end(signal.SIGKILL)
        self.log.close()


class HAProxy:
    """HAProxy."""

    def __init__(self, network, folder):
        self.socket = os.path.join(folder, "haproxy.sock")
        with open(os.path.join(SOURCE, "etc", "haproxy.cfg"), encoding="utf-8") as file:
            text = file.read()
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("/run/haproxy/admin.sock", self.socket))
        self.log = open(os.path.join(folder, "haproxy.log"), "ab")
        self.process = subprocess.Popen(["ip", "netns", "exec", network.gateway, "haproxy", "-db",
                                         "-f", path], stdout=self.log, stderr=self.log)

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(self.socket)
            sock.sendall(command.encode() + b"\n")
            data = b""
            while part := sock.recv(65536):
                data += part
        return data.decode()

    def rows(self):
        try:
            lines = self.ask("show stat").splitlines()
        except OSError:
            return {}
        names = lines[0].lstrip("# ").split(",")
        rows = [dict(zip(names, line.split(","))) for line in lines[1:] if line]
        return {row["svname"]: row for row in rows if row["pxname"] == "convnetd_hosts"}

    def is_up(self, name):
        return self.rows().get(name, {}).get("status", "").startswith("UP")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


class Connection:
    """Keeps one open and posts over it."""

    def __init__(self, address):
        self.address, self.sock, self.data = address, None, b""

    def post(self, path, body):
        """(status, body), or the exception that ended the connection."""
        try:
            if self.sock is None:
                self.sock = socket.create_connection(self.address, 30)
                self.data = b""
            self.sock.sendall(b"POST %s HTTP/1.1\r\nHost: fleet\r\nContent-Type: image/png\r\n"
                              b"Content-Length: %d\r\n\r\n" % (path, len(body)) + body)
            while b"\r\n\r\n" not in self.data:
                self._more()
            head, self.data = self.data.split(b"\r\n\r\n", 1)
            lower = head.lower()
            length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            while len(self.data) < length:
                self._more()
            text, self.data = self.data[:length], self.data[length:]
            if b"connection: close" in lower:
                self.close()
            return int(head.split(b" ")[1]), text
        except (OSError, IndexError, ValueError) as error:
            self.close()
            return 0, repr(error).encode()

    def _more(self):
        part = self.sock.recv(65536)
        if part == b"":
            raise OSError("the connection ended")
        self.data += part

    def close(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None


class Load:
    """What the clients share: counts, the phase of the change, and when to end."""

    def __init__(self):
        self.sent = multiprocessing.Value("Q", 0)
        self.again = multiprocessing.Value("Q", 0)
        self.lost = multiprocessing.Value("Q", 0)
        self.wrong = multiprocessing.Value("Q", 0)
        self.phase = multiprocessing.Value("i", 0)  # 0 before the change, 1 during it, 2 after it
        self.stop = multiprocessing.Event()


def client(number, network, load, answers):
    """Asks the two models by turns until it is told to stop."""
    handle = os.open("/run/netns/" + network, os.O_RDONLY)
    os.setns(handle, 0) if hasattr(os, "setns") else setns(handle)
    connection = Connection(GATEWAY)
    turn = number
    while not load.stop.is_set():
        model = ("digits", "digits-small")[turn % 2]
        turn += 1
        before = load.phase.value
        status, text = connection.post(b"/predict/" + model.encode(), SEVEN)
        if status != 200:
            with load.again.get_lock():
                load.again.value += 1
            print("again:", model, status, text[:100], flush=True)
            status, text = connection.post(b"/predict/" + model.encode(), SEVEN)
        after = load.phase.value
        allowed = [answers[model][0]]
        if model == "digits":
            allowed = ([answers[model][0]] if before < 2 else []) + \
                ([answers[model][1]] if after > 0 else [])
        with load.sent.get_lock():
            load.sent.value += 1
        if status != 200:
            with load.lost.get_lock():
                load.lost.value += 1
            print("lost:", model, status, text[:200], flush=True)
        elif text not in allowed:
            with load.wrong.get_lock():
                load.wrong.value += 1
            print("wrong:", model, before, after, text[:200], flush=True)


def setns(handle):
    import ctypes  # os.setns came with Python 3.12
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def expected_answers(network, folder):
    """The bytes that each model answers, and those of the one that digits becomes."""
    answers = {}
    replaced = os.path.join(folder, "digits.safetensors")
    changed(replaced)
    for model, path in (("digits", os.path.join(MODELS, "digits.safetensors")),
                        ("digits-small", os.path.join(MODELS, "digits-small.safetensors")),
                        ("digits", replaced)):
        out = subprocess.run([DAEMON, "--port=0", "--model=" + path, "--check-config"],
                             capture_output=True, check=False)
        check(out.returncode == 0, "%s: %s" % (path, out.stderr))
        answers.setdefault(model, []).append(one_answer(path))
    return answers, replaced


def one_answer(path):
    from daemon import ask, post, serving
    with serving(model=path) as server:
        return ask(server, post(SEVEN, b"Content-Type: image/png\r\n"))[2]


def changed(path):
    """The small model under the name digits, as a new version of it."""
    shutil.copy(os.path.join(MODELS, "digits-small.safetensors"), path)


def kill(_, host, haproxy):
    host.end(signal.SIGKILL)
    until(lambda: not haproxy.is_up(host.name), "HAProxy sees that it is gone")
    host.start()


def pause(_, host, haproxy):
    host.process.send_signal(signal.SIGSTOP)
    until(lambda: not haproxy.is_up(host.name), "HAProxy sees that it is frozen")
    host.process.send_signal(signal.SIGCONT)


def cut_off(network, host, haproxy):
    network.cable(host.name, "down")
    until(lambda: not haproxy.is_up(host.name), "HAProxy sees that it is cut off")
    network.cable(host.name, "up")


def restart(_, host, haproxy):
    host.process.send_signal(signal.SIGTERM)
    until(lambda: not haproxy.is_up(host.name), "HAProxy sees that it ends")
    host.process.wait(PATIENCE)
    host.start()


def change_model(hosts, replaced, load):
    load.phase.value = 1
    for host in hosts.values():
        target = os.path.join(host.models, "digits.safetensors")
        shutil.copy(replaced, target + ".new")
        os.rename(target + ".new", target)
        out = host.reload()
        check(out.returncode == 0, "reload of %s: %s%s" % (host.name, out.stdout, out.stderr))
    # Requests that were under way are over when each client has had a later answer.
    expected = load.sent.value + 4 * CLIENTS
    until(lambda: load.sent.value >= expected, "the load goes on")
    load.phase.value = 2


def trouble(network, hosts, haproxy, load, replaced, counts):
    """One thing after another, until there were requests enough; each thing once at least."""
    rounds = 0
    while rounds == 0 or load.sent.value < REQUESTS:
        for what in (kill, pause, cut_off, restart):
            for host in hosts.values():
                what(network, host, haproxy)
                until(lambda: haproxy.is_up(host.name), "%s is up again" % host.name)
                counts[what.__name__] = counts.get(what.__name__, 0) + 1
                before = load.sent.value
                until(lambda: load.sent.value >= before + 20 * CLIENTS, "the load goes on")
                if rounds > 0 and load.sent.value >= REQUESTS:
                    return
        if rounds == 0:
            change_model(hosts, replaced, load)
        rounds += 1


def main():
    needed = all(shutil.which(x) for x in ("ip", "haproxy")) and os.geteuid() == 0
    if not needed or subprocess.run(["ip", "netns", "list"], capture_output=True,
                                    check=False).returncode != 0:
        print("needs root, ip netns and haproxy")
        return 77
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        try:
            network = Network()
        except subprocess.CalledProcessError as error:
            print("no network namespaces here: %s" % error.stderr)
            return 77
        stack.callback(network.close)
        answers, replaced = expected_answers(network, folder)
        hosts = {}
        for name in HOSTS:
            hosts[name] = Host(network, name, folder)
            stack.callback(hosts[name].close)
        haproxy = HAProxy(network, folder)
        stack.callback(haproxy.close)
        until(lambda: all(haproxy.is_up(name) for name in HOSTS), "all hosts are up")
        load = Load()
        clients = [multiprocessing.Process(target=client,
                                           args=(i, network.gateway, load, answers))
                   for i in range(CLIENTS)]
        begun = time.monotonic()
        for one in clients:
            one.start()
        counts = {}
        try:
            until(lambda: load.sent.value > 10 * CLIENTS, "the load begins")
            trouble(network, hosts, haproxy, load, replaced, counts)
        finally:
            load.stop.set()
            for one in clients:
                one.join(60)
        seconds = time.monotonic() - begun
        rows = haproxy.rows()
        share = {name: int(rows[name]["stot"]) for name in HOSTS}
        retried = sum(int(rows[name]["wretr"]) for name in HOSTS)
        print("%d requests in %.0f s, %d retried by HAProxy, %d by a client, %d lost, %d wrong; %s;"
              " by host %s" % (load.sent.value, seconds, retried, load.again.value, load.lost.value,
                               load.wrong.value, json.dumps(counts), json.dumps(share)))
        check(load.sent.value >= REQUESTS, "the number of requests")
        check(load.lost.value == 0, "%d requests were lost" % load.lost.value)
        check(load.wrong.value == 0, "%d answers are not from the requested model"
              % load.wrong.value)
        check(all(count > 0 for count in share.values()), "each host had some: %s" % share)
        check(set(counts) == {"kill", "pause", "cut_off", "restart"}, "all happened: %s" % counts)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
