#!/usr/bin/env python3
"""Who may do what: API keys in each spelling, classes of routes, addresses to listen at, reload of keys."""
import os
import signal
import sys
import tempfile
import time

from daemon import MODEL, PATIENCE, RAW, Stream, ask, check, finish, get, post, run, serving

KEY = "4f9d2c6b8a7e41f0b3c5d7e9a1b2c3d4"
OTHER = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA=="


def bearer(key, scheme="Bearer"):
    return ("Authorization: %s %s\r\n" % (scheme, key)).encode("latin-1")


def x_key(key):
    return ("X-API-Key: %s\r\n" % key).encode("latin-1")


# The credentials of a request -> status of POST /predict.
SHOWN = {
    "no key": (b"", 401),
    "bearer": (bearer(KEY), 200),
    "second key": (bearer(OTHER), 200),
    "bearer in another case": (bearer(KEY, "bEARER"), 200),
    "two blanks after the scheme": (bearer(" " + KEY), 200),
    "X-API-Key": (x_key(KEY), 200),
    "X-API-Key in another case": (b"x-api-KEY: " + KEY.encode() + b"\r\n", 200),
    "another scheme besides": (b"Authorization: Basic YTpi\r\n" + x_key(KEY), 200),
    "wrong key": (bearer("0" * 32), 401),
    "empty key": (bearer(""), 401),
    "empty X-API-Key": (x_key(""), 401),
    "prefix of a key": (bearer(KEY[:-1]), 401),
    "key and more": (bearer(KEY + "0"), 401),
    "key in upper case": (bearer(KEY.upper()), 401),
    "key after a blank": (bearer("a " + KEY), 401),
    "name instead of a key": (bearer("first"), 401),
    "key without a scheme": (b"Authorization: " + KEY.encode() + b"\r\n", 401),
    "another scheme": (bearer(KEY, "Basic"), 401),
    "scheme only": (b"Authorization: Bearer\r\n", 401),
    "key in the query": (b"", 401),
    "key in a cookie": (b"Cookie: key=" + KEY.encode() + b"\r\n", 401),
    "two Authorizations": (bearer(KEY) + bearer(KEY), 400),
    "a wrong Authorization first": (bearer("0" * 32) + bearer(KEY), 400),
    "another scheme and Bearer": (b"Authorization: Basic YTpi\r\n" + bearer(KEY), 400),
    "two X-API-Keys": (x_key(KEY) + x_key(OTHER), 400),
    "both spellings": (bearer(KEY) + x_key(KEY), 400),
}


def write(path, text):
    with open(path + ".new", "w", encoding="latin-1") as file:
        file.write(text)
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)


def test_shown(server):
    for name, (extra, expected) in SHOWN.items():
        path = b"/predict?key=" + KEY.encode() if "query" in name else b"/predict"
        status, headers, body = ask(server, post(extra=extra + RAW, path=path))
        check(status == expected, "%s: %s, expected %s" % (name, status, expected))
        check(("www-authenticate" in headers) == (status == 401), "%s: %s" % (name, headers))
        if status == 401:
            check(headers["www-authenticate"].startswith("Bearer ") and
                  headers["connection"].lower() == "close" and body.startswith(b'{"error": "'),
                  "%s: %s %s" % (name, headers, body))
    print("%d ways to show a key" % len(SHOWN))


def test_routes(server):
    for path in ("/v2/health/live", "/v2/health/ready"):
        check(ask(server, get(path))[0] == 200, "%s is for anybody" % path)
    for extra, told in ((b"", False), (bearer("0" * 32), False), (bearer(KEY), True)):
        status, _, body = ask(server, get("/", extra))
        check(status == 200 and (b"labels" in body) == told, "GET / with %r: %s" % (extra, body))
    check(ask(server, get("/metrics"))[0] == 401, "metrics need a key")
    check(ask(server, get("/metrics", bearer(KEY)))[0] == 200, "metrics with a key")
    check(ask(server, get("/metrics", method=b"HEAD"), head=True)[0] == 401, "HEAD too")
    check(ask(server, post(path=b"/predict/none"))[0] == 401, "models' names are not told")
    check(ask(server, get("/predict", method=b"OPTIONS"))[0] == 204, "a browser's question")


def test_before_the_body(server):
    """Refused after the head: no 100, and the body is not read."""
    with server.connect() as sock:
        sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + RAW +
                     b"Content-Length: 784\r\n\r\n")
        stream = Stream(sock)
        while b"\r\n" not in stream.data and stream.more():
            pass
        check(stream.data.startswith(b"HTTP/1.1 401 "), "401 instead of 100: %r" % stream.data)
        check(stream.answer()[0] == 401 and stream.rest() == b"", "the connection ends after a 401")
    # A client that sends the body anyway still gets the answer.
    with server.connect() as sock:
        try:
            sock.sendall(post(bytes(5000000)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = Stream(sock).answer()
        check(answer and answer[0] == 401, "401 while sending: %s" % (answer,))


def wait_for_status(server, request, expected):
    start, status = time.monotonic(), None
    while status != expected and time.monotonic() - start < PATIENCE:
        status = ask(server, request)[0]
    return status == expected


def test_reload(server, path):
    new = "a-new-key-of-enough-bytes"
    write(path, new + " new\n")
    server.process.send_signal(signal.SIGHUP)
    check(wait_for_status(server, post(extra=bearer(new) + RAW), 200), "the new key is taken")
    check(ask(server, post(extra=bearer(KEY) + RAW))[0] == 401, "the old one is gone")
    write(path, new + "\nshort\n")
    server.process.send_signal(signal.SIGHUP)
    check(server.wait_for("the old keys and certificates stay in use: %s:2: " % path), "a bad file is reported")
    check(ask(server, post(extra=bearer(new) + RAW))[0] == 200, "the old keys stay valid")
    os.unlink(path)
    server.process.send_signal(signal.SIGHUP)
    check(server.wait_for("cannot open the file"), "a missing file is reported")
    check(ask(server, post(extra=bearer(new) + RAW))[0] == 200, "the keys stay")
    check(ask(server, post())[0] == 401, "a request without a key is refused")
    for line in server.lines:
        check(new not in line and KEY not in line and "short" not in line, "no key in the log")


def test_keys(folder):
    path = os.path.join(folder, "keys")
    write(path, "# keys\n%s first\n\n%s # the other\n" % (KEY, OTHER))
    with serving("--api-keys-file=" + path, "--log-level=debug") as server:
        check(server.wait_for("2 API keys read from " + path), "said at start")
        test_shown(server)
        test_routes(server)
        test_before_the_body(server)
        test_reload(server, path)
    write(path, KEY)
    for access, bare, with_key in (("public", 200, 200), ("admin", 403, 403)):
        with serving("--api-keys-file=" + path, "--metrics-access=" + access) as server:
            check(ask(server, get("/metrics"))[0] == bare, "metrics for " + access)
            check(ask(server, get("/metrics", bearer(KEY)))[0] == with_key, "... with a key")
    os.chmod(path, 0o644)
    with serving("--api-keys-file=" + path) as server:
        check(server.wait_for("every user can read it"), "an open file is warned of")
    # The service manager's credential works in the same way.
    credentials = os.path.join(folder, "credentials")
    os.mkdir(credentials)
    write(os.path.join(credentials, "api-keys"), KEY)
    with serving(environment={"CREDENTIALS_DIRECTORY": credentials}) as server:
        check(ask(server, post())[0] == 401, "a credential asks for keys")
        check(ask(server, post(extra=x_key(KEY) + RAW))[0] == 200, "the credential's keys are accepted")
    with serving(environment={"CREDENTIALS_DIRECTORY": folder}) as server:
        check(ask(server, post())[0] == 200, "a folder without that credential asks for none")


def test_start(folder):
    path = os.path.join(folder, "start-keys")
    model = "--model=" + MODEL
    write(path, KEY)
    for address in ("0.0.0.0", "::", "127.0.0.1,192.0.2.1"):
        code, _, error = run("--address=" + address, model, "--port=0")
        check(code == 2 and error.count("\n") == 1 and "api-keys-file" in error and
              "insecure" in error, "%s without keys: %s %s" % (address, code, error))
    code, _, error = run("--address=0.0.0.0", "--api-keys-file=" + path, model, "--check-config")
    check(code == 0, "another address with keys: %s" % error)
    code, _, error = run("--address=0.0.0.0", "--insecure", model, "--check-config")
    check(code == 0, "another address and --insecure: %s" % error)
    for text, words in (("", "the file contains no key"), ("short\n", ":1: a key must have 16 bytes"),
                        (KEY + "\n" + KEY, ":2: this key is listed twice")):
        write(path, text)
        for action in ("--port=0", "--check-config"):
            code, _, error = run("--api-keys-file=" + path, model, action)
            check(code == 1 and path in error and words in error,
                  "keys %r: %s %s" % (text, code, error))
    code, _, error = run("--api-keys-file=" + path + ".none", model, "--port=0")
    check(code == 1 and path + ".none" in error, "missing keys: %s %s" % (code, error))


def page(origin=None, site=None, mode=None):
    """The headers that a browser sends about the page that makes a request."""
    fields = (("Origin", origin), ("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode))
    return b"".join(("%s: %s\r\n" % x).encode() for x in fields if x[1])


def named(host, request):
    return request.replace(b"Host: a\r\n", b"Host: " + host.encode() + b"\r\n")


def test_pages():
    """A web page that someone visits cannot use a server on loopback."""
    form = b"Content-Type: multipart/form-data; boundary=x\r\n"
    default = {"CONVNETD_ALLOWED_HOSTS": "none"}
    with serving("--cors-origin=https://good.example", environment=default) as server:
        for host, expected in (("localhost", 200), ("LocalHost:%d" % server.port, 200),
                             ("digits.localhost", 200), ("127.0.0.1:%d" % server.port, 200),
                             ("[::1]", 200), ("evil.example", 421), ("a", 421),
                             ("localhost.evil.example", 421), ("127.0.0.1.evil.example", 421)):
            for request in (get(), post(), get("/metrics")):
                answer = ask(server, named(host, request))
                check(answer[0] == expected and (expected == 200 or b"allowed-hosts" in answer[2]),
                      "Host %s: %s" % (host, answer[:1]))
        check(ask(server, b"GET /v2 HTTP/1.0\r\n\r\n")[0] == 200, "without Host")
        check(ask(server, named("", get()))[0] == 400, "an empty Host")
        own = "http://localhost:%d" % server.port
        for shown, expected in ((page(), 200), (page(own), 200), (page(own, "same-origin"), 200),
                              (page("https://good.example", "cross-site", "cors"), 200),
                              (page("https://evil.example", "cross-site", "navigate"), 403),
                              (page("https://evil.example"), 403), (page("null"), 403),
                              (page("http://localhost:1"), 403), (page(own + "0"), 403),
                              (page(None, "cross-site"), 403)):
            request = named("localhost:%d" % server.port, post(extra=RAW + shown))
            answer = ask(server, request)
            check(answer[0] == expected and (expected == 200 or b"cors-origin" in answer[2]),
                  "%r: %s" % (shown, answer))
        answer = ask(server, named("localhost", post(b"--x--", form + page("https://evil.example"))))
        check(answer[0] == 403, "a form of another origin: %s" % (answer[:1],))
        link = get("/", page(None, "cross-site", "navigate") + b"Accept: text/html\r\n")
        check(ask(server, named("localhost", link))[0] == 200, "a link to the page is followed")
    with serving("--allowed-hosts=digits.example") as server:
        for host, expected in (("digits.example:80", 200), ("Digits.Example.", 200), ("a", 421)):
            check(ask(server, named(host, get()))[0] == expected, "a list: %s" % host)
    with serving("--allowed-hosts=*") as server:
        check(ask(server, get())[0] == 200, "any name")
    with serving("--address=0.0.0.0", "--insecure", environment=default) as server:
        check(ask(server, get())[0] == 200, "a server for other machines has any name")
    check(run("--allowed-hosts=http://a", "--check-config")[0] == 2, "no host name")


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with tempfile.TemporaryDirectory() as folder:
        test_keys(folder)
        test_start(folder)
    test_pages()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
