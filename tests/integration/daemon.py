"""A running convnetd for tests: starts it, sends requests over raw sockets, reads its log, stops it.

Waits for conditions (an answer, an end of file, a line of the log), never for a fixed time. `check` counts;
`finish` prints the count and returns the exit status. Not a test by itself.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading

BUILD = os.environ.get("top_builddir", ".")
SOURCE = os.environ.get("top_srcdir", ".")
DAEMON = os.environ.get("CONVNETD", os.path.join(BUILD, "convnetd"))
CONVNET = os.path.join(BUILD, "convnet")
MODEL = os.environ.get("MODEL", os.path.join(SOURCE, "models", "digits.safetensors"))
PATIENCE = 30.0  # seconds after which a condition counts as failed
IMAGE = bytes(784)
RAW = b"Content-Type: application/octet-stream\r\n"
failures = []
checks = 0


def check(good, what):
    global checks
    checks += 1
    if not good:
        failures.append(what)
        print("FAIL", what)


class Server:
    """A running convnetd whose log is collected line by line."""

    def __init__(self, *options, model=MODEL, environment=None, preexec=None):
        self.lines = []
        self.news = threading.Condition()
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONVNETD_")}
        env["CONVNETD_ALLOWED_HOSTS"] = "a"  # the tests' requests use these addresses
        env.update(environment or {})
        if "LD_PRELOAD" in env: # preloaded libraries open files of their own
            env.setdefault("CONVNETD_NO_SANDBOX", "yes")
        self.process = subprocess.Popen(
            [DAEMON, *(["--model=" + model] if model else []), "--port=0", *options],
            stderr=subprocess.PIPE, env=env, preexec_fn=preexec)
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        self.port = self.tls_port = 0
        if self.wait_for("listening on "):
            line = [x for x in self.lines if "listening on " in x][0]
            self.port = self._port(line, "http")
            self.tls_port = self._port(line, "https")

    @staticmethod
    def _port(line, scheme):
        """The port of the first such address in the log line with the addresses; 0 if there is none."""
        found = re.search(" " + scheme + r"://[^ ]*:(\d+)", line)
        return int(found.group(1)) if found else 0

    def _read(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line.decode("ascii", "replace"))
                self.news.notify_all()
        with self.news:
            self.lines.append("")
            self.news.notify_all()

    def wait_for(self, text):
        """Waits until a log line contains the text, or the log ends."""
        with self.news:
            self.news.wait_for(lambda: any(text in x for x in self.lines) or "" in self.lines,
                               PATIENCE)
            return any(text in x for x in self.lines)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def stop(self, sig=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.reader.join()
        self.process.stderr.close()
        return code


@contextlib.contextmanager
def serving(*options, **named):
    server = Server(*options, **named)
    try:
        if server.port == server.tls_port == 0:
            raise SystemExit("convnetd did not start:\n" + "".join(server.lines))
        yield server
    finally:
        code = server.stop()
        check(code == 0, "exit status %s after SIGTERM with %s: %s"
              % (code, options, "".join(server.lines[-5:])))


class Stream:
    """Reads answers from a socket."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""
        self.ended = False

    def more(self):
        try:
            part = self.sock.recv(65536)
        except ConnectionResetError:
            part = b""
        self.ended = part == b""
        self.data += part
        return not self.ended

    def answer(self, head=False):
        """(status, headers, body) of the next final answer, None at the end of the connection."""
        while True:
            while b"\r\n\r\n" not in self.data:
                if not self.more():
                    return None
            top, self.data = self.data.split(b"\r\n\r\n", 1)
            lines = top.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            headers = {k.lower(): v for k, v in (x.split(": ", 1) for x in lines[1:])}
            if status >= 200:
                break
        length = 0 if head else int(headers.get("content-length", 0))
        while len(self.data) < length and self.more():
            pass
        body, self.data = self.data[:length], self.data[length:]
        return status, headers, body

    def rest(self):
        while not self.ended and self.more():
            pass
        return self.data


def hold_place(sock):
    """Begins a request and waits until the server knows about it, because the server would close an idle
    connection to make room for a new one."""
    sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 784\r\n"
                 b"Content-Type: application/octet-stream\r\nExpect: 100-continue\r\n\r\n")
    stream = Stream(sock)
    while b"100 Continue" not in stream.data and stream.more():
        pass


def ask(server, request, head=False):
    with server.connect() as sock:
        sock.sendall(request)
        return Stream(sock).answer(head)


def status_of(server, request, head=False):
    answer = ask(server, request, head)
    return answer[0] if answer else None


def get(path="/v2", extra=b"", version=b"1.1", method=b"GET"):
    return (method + b" " + path.encode("latin-1") + b" HTTP/" + version + b"\r\nHost: a\r\n" +
            extra + b"\r\n")


def post(body=IMAGE, extra=RAW, path=b"/predict"):
    return (b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + extra +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def run(*arguments, environment=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith("CONVNETD_")}
    env.update(environment or {})
    result = subprocess.run([DAEMON, *arguments], capture_output=True, timeout=PATIENCE, env=env,
                            check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def convnet(*arguments, preexec=None):
    """(exit status, standard output, standard error) of the command."""
    result = subprocess.run([CONVNET, *arguments], capture_output=True, timeout=10 * PATIENCE,
                            preexec_fn=preexec, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def resident(server, name="VmRSS"):
    """The daemon's memory in bytes; VmHWM: the most that it had."""
    with open("/proc/%d/status" % server.process.pid, encoding="ascii") as file:
        return 1024 * int([x for x in file if x.startswith(name)][0].split()[1])


def finish():
    print("%d checks, %d failures" % (checks, len(failures)))
    return 1 if failures else 0
