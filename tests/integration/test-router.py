#!/usr/bin/env python3
"""Methods and headers that concern all endpoints: HEAD, OPTIONS, CORS, request ids, traces."""
import json
import os
import re
import sys

from daemon import IMAGE, MODEL, RAW, Stream, ask, check, finish, get, hold_place, post, serving

TRACE = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
PROBES = ("/v2/health/live", "/v2/health/ready", "/ping")
SITE, OTHER = b"https://draw.example", b"https://other.example"


def test_head(server):
    """HEAD gives the headers of GET for every plain GET, except those that differ between two requests."""
    for path in ("/", "/metrics", "/v2/health/live", "/v2/health/ready"):
        status, headers, body = ask(server, get(path))
        head = ask(server, get(path, method=b"HEAD"), head=True)
        check(status == head[0] == 200 and body, "HEAD %s: %s" % (path, head))
        check(headers["content-type"] == head[1]["content-type"], "HEAD %s: type" % path)
        check("content-length" in head[1], "HEAD %s: length" % path)
        if path != "/metrics":
            check(headers["content-length"] == head[1]["content-length"],
                  "HEAD %s: %s" % (path, head[1]))
    check(ask(server, get("/predict", method=b"HEAD"), head=True)[0] == 405, "HEAD of a POST")


def test_options(server):
    for path, allow in (("/predict", "POST, OPTIONS"), ("/predict/digits", "POST, OPTIONS"),
                        ("/metrics", "GET, HEAD, OPTIONS"), ("*", "GET, HEAD, POST, OPTIONS")):
        status, headers, body = ask(server, get(path, method=b"OPTIONS"))
        check((status, headers.get("allow"), body) == (204, allow, b""),
              "OPTIONS %s: %s %s" % (path, status, headers))
        check(not any("access-control" in name for name in headers), "CORS is off: %s" % headers)
    check(ask(server, get("/nothing", method=b"OPTIONS"))[0] == 404, "OPTIONS of nothing")
    answer = ask(server, get("/predict", b"Content-Length: 1\r\n", method=b"OPTIONS") + b"a")
    check(answer[0] == 413, "OPTIONS with a body: %s" % (answer,))
    with server.connect() as sock:
        stream = Stream(sock)
        for request in (get("/predict", method=b"OPTIONS"), get("*", method=b"OPTIONS"), post()):
            sock.sendall(request)
            answer = stream.answer()
            check(answer and answer[0] in (200, 204) and "connection" not in answer[1],
                  "OPTIONS keeps its connection: %s" % (answer,))
    answer = ask(server, get("/predict", b"Origin: " + SITE + b"\r\n", method=b"OPTIONS"))
    check("access-control-allow-origin" not in answer[1], "no CORS unless asked for")


def test_methods(server):
    """405 names the unknown method and the allowed ones."""
    for path, method, allow in (("/predict", b"GET", "POST, OPTIONS"), ("/v2", b"PUT", "GET, HEAD, OPTIONS"),
                                ("/metrics", b"POST", "GET, HEAD, OPTIONS")):
        status, headers, body = ask(server, get(path, b"Content-Length: 0\r\n", method=method))
        check(status == 405 and headers.get("allow") == allow and
              b"does not support the method %s; it supports %s" % (method, allow.encode()) in body,
              "%s %s: %s" % (method, path, body))
    _, _, body = ask(server, get("/predict", method=b"A" * 200))
    check(b"does not support the method " + b"A" * 32 + b";" in body, "a long method is cut: %s" % body)


def test_queries(server):
    """An unknown query key is refused by name, with the known keys."""
    contract = json.loads(ask(server, get("/openapi.json"))[2])
    known = {x["name"] for x in contract["components"]["parameters"].values() if x["in"] == "query"}
    for path, item in contract["paths"].items():
        for method, operation in item.items():
            if "admin" in operation["tags"]:
                continue
            names = [contract["components"]["parameters"][x["$ref"].split("/")[-1]]
                     for x in operation.get("parameters", []) if "$ref" in x]
            wanted = ", ".join(x["name"] for x in names if x["in"] == "query") or "none"
            where = path.replace("{model}", "digits").replace("{version}", "1").replace("{file}", "page.js")
            status, _, body = ask(server, get(where + "?colour=%22red", b"Content-Length: 0\r\n",
                                              method=method.upper().encode()))
            if where in PROBES:
                check(status == 200, "%s: %s" % (where, body))
                continue
            check(status == 400 and json.loads(body)["error"] ==
                  'the query has the unknown parameter "colour"; this path accepts ' + wanted,
                  "%s %s: %s" % (method, where, body))
    check(len(known) > 8, "the contract has queries: %s" % known)
    for query, words in ((b"strict=1&strict=1", b'repeats the parameter'), (b"strict", b"no value for the parameter"),
                         (b"Strict=1", b'parameter \\"Strict\\"'), (b"%22%0a=1", b'parameter'), (b"=1", b'parameter \\"\\"'),
                         (b"a" * 500 + b"=1", b'parameter \\"' + b"a" * 64 + b'\\"; this')):
        status, _, body = ask(server, post(path=b"/predict?" + query))
        check(status == 400 and words in body and json.loads(body), "%s: %s" % (query, body))
    for query in (b"", b"&", b"strict=1&", b"&strict=0", b"str%69ct=1", b"strict=1&preprocess=auto"):
        check(ask(server, post(path=b"/predict?" + query))[0] == 200, "%s is good" % query)
    check(ask(server, get("/predict?colour=red", method=b"OPTIONS"))[0] == 204, "OPTIONS asks nothing")


def test_limits():
    """A client that is refused for a limit learns which one; the log names the option."""
    for option, words in (("max-connections", b"too many connections\""),
                          ("max-connections-per-address", b"too many connections from your address")):
        with serving("--%s=2" % option) as server:
            with server.connect() as one, server.connect() as two, server.connect() as three:
                hold_place(one)
                hold_place(two)
                three.sendall(get())
                answer = Stream(three).answer()
                check(answer and answer[0] == 503 and words in answer[2] and json.loads(answer[2]),
                      "%s: %s" % (option, answer))
                check(server.wait_for("a connection was refused: %s 2 is reached" % option),
                      "the log says %s" % option)
                for sock in (one, two):
                    sock.sendall(IMAGE)
                    check(Stream(sock).answer()[0] == 200, "an open connection stays usable")


def test_cors():
    origin = b"Origin: " + SITE + b"\r\n"
    asking = b"Access-Control-Request-Method: POST\r\n"
    with serving("--cors-origin=http://localhost:3000," + SITE.decode()) as server:
        status, headers, _ = ask(server, get("/predict", origin + asking, method=b"OPTIONS"))
        check(status == 204 and headers["access-control-allow-origin"] == SITE.decode() and
              "POST" in headers["access-control-allow-methods"] and
              "Content-Type" in headers["access-control-allow-headers"] and
              headers["vary"] == "Origin", "preflight: %s %s" % (status, headers))
        # Headers that a script may read, also of errors; otherwise it could not tell the reason.
        for request, expected in ((post(extra=RAW + origin), 200), (post(b"x", extra=origin), 415),
                                (get("/nothing", origin), 404)):
            status, headers, _ = ask(server, request)
            check(status == expected and headers.get("access-control-allow-origin") == SITE.decode()
                  and "X-Request-Id" in headers["access-control-expose-headers"] and
                  headers["vary"] == "Origin", "answer for a page: %s %s" % (status, headers))
        for extra in (b"Origin: " + OTHER + b"\r\n", b"Origin: null\r\n", b""):
            status, headers, _ = ask(server, get("/predict", extra + asking, method=b"OPTIONS"))
            check(status == 204 and "access-control-allow-origin" not in headers and
                  headers["vary"] == "Origin", "not for %s: %s" % (extra, headers))
    with serving("--cors-origin=*") as server:
        _, headers, _ = ask(server, get(extra=b"Origin: " + OTHER + b"\r\n"))
        check(headers.get("access-control-allow-origin") == "*" and "vary" not in headers,
              "for all: %s" % headers)


def test_identity(server):
    _, headers, _ = ask(server, post(extra=b"X-Request-Id: order-7\r\ntraceparent: " + TRACE +
                                     b"\r\n"))
    check(headers.get("x-request-id") == "order-7" and
          headers.get("traceparent") == TRACE.decode(), "echo: %s" % headers)
    check(server.wait_for("id=order-7 trace=" + TRACE.decode()), "both are in the log")
    seen = set()
    for bad in (b"", b"X-Request-Id:\r\n", b"X-Request-Id: a b\r\n", b"X-Request-Id: \xe9\r\n",
                b"X-Request-Id: \"\r\n", b"X-Request-Id: " + b"a" * 129 + b"\r\n"):
        _, headers, _ = ask(server, get(extra=bad + b"traceparent: 00-0-0-0\r\n"))
        made = headers.get("x-request-id", "")
        check(re.fullmatch("[0-9a-f]{32}", made) and made not in seen, "%s: made %s" % (bad, made))
        check("traceparent" not in headers, "a broken trace is dropped")
        seen.add(made)
        check(server.wait_for("id=" + made), "it is in the log")
    # Refusals have it as well, also those by rules of framing.
    own = b"X-Request-Id: x1\r\n"
    for request in (get("/nothing", own), get("/predict", own), get(extra=own + b"Host: b\r\n"),
                    post(b"", extra=own), get("/", own + b"Content-Length: 1\r\n")):
        status, headers, _ = ask(server, request)
        check(status >= 400 and headers.get("x-request-id") == "x1", "%s: %s" % (status, headers))


def test_identity_of_a_cut_body():
    with serving("--max-body=1K") as server:
        answer = ask(server, b"POST /predict HTTP/1.1\r\nHost: a\r\nX-Request-Id: cut\r\n"
                     b"Transfer-Encoding: chunked\r\n\r\n401\r\n" + bytes(0x401) + b"\r\n0\r\n\r\n")
        check(answer[0] == 413 and answer[1].get("x-request-id") == "cut", "cut: %s" % (answer,))


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with serving("--log-level=debug") as server:
        test_head(server)
        test_options(server)
        test_methods(server)
        test_queries(server)
        test_identity(server)
    test_cors()
    test_limits()
    test_identity_of_a_cut_body()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
