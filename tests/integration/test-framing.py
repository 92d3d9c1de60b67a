#!/usr/bin/env python3
"""Drives convnetd over raw sockets: framing, limits, deadlines, signals, start.

MODEL names the model to serve (default: models/digits.safetensors of the source); skipped (77) without one.
Waits for conditions: an answer, an end of file, a line of the log.
"""
import os
import re
import resource
import select
import signal
import socket
import sys
import tempfile
import time

from daemon import (IMAGE, MODEL, PATIENCE, RAW, Server, Stream, ask, check, finish, get, hold_place,
                    post, run, serving, status_of)
from gate import metrics, wait_until


def chunked(*chunks, extra=b"", end=b"0\r\n\r\n", coding=b"chunked", version=b"1.1"):
    body = b"".join(b"%x\r\n" % len(c) + c + b"\r\n" for c in chunks)
    return (b"POST /predict HTTP/" + version + b"\r\nHost: a\r\nTransfer-Encoding: " + coding +
            b"\r\n" + RAW + extra + b"\r\n" + body + end)


def chunk_bytes(raw):
    return (b"POST /predict HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + RAW +
            b"\r\n" + raw)


def length(value, body=IMAGE):
    return (b"POST /predict HTTP/1.1\r\nHost: a\r\n" + RAW + b"Content-Length: " + value +
            b"\r\n\r\n" + body)


def head_line(line):
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n\r\n"


def first_line(line, host=b"Host: a\r\n"):
    return line + b"\r\n" + host + b"\r\n"


BAD = {
    "tab in the request line": first_line(b"GET\t/ HTTP/1.1"),
    "two spaces before the target": first_line(b"GET  / HTTP/1.1"),
    "two spaces after the target": first_line(b"GET /  HTTP/1.1"),
    "space before the method": first_line(b" GET / HTTP/1.1"),
    "space after the version": first_line(b"GET / HTTP/1.1 "),
    "word after the version": first_line(b"GET / HTTP/1.1 x"),
    "method that is not a token": first_line(b"G@T / HTTP/1.1"),
    "control byte in the method": first_line(b"GE\x01T / HTTP/1.1"),
    "NUL in the method": first_line(b"GET\0 / HTTP/1.1"),
    "version in lower case": first_line(b"GET / http/1.1"),
    "version 2.0": first_line(b"GET / HTTP/2.0"),
    "version 0.9": first_line(b"GET / HTTP/0.9"),
    "version 1.10": first_line(b"GET / HTTP/1.10"),
    "no version": first_line(b"GET /"),
    "no target": first_line(b"GET HTTP/1.1"),
    "target without slash": first_line(b"GET foo HTTP/1.1"),
    "authority form": first_line(b"CONNECT a:80 HTTP/1.1"),
    "user in an absolute target": first_line(b"GET http://u@a/ HTTP/1.1"),
    "absolute target without host": first_line(b"GET http:/// HTTP/1.1"),
    "ftp target": first_line(b"GET ftp://a/ HTTP/1.1"),
    "fragment in the target": first_line(b"GET /#a HTTP/1.1"),
    "NUL in the target": first_line(b"GET /\0 HTTP/1.1"),
    "byte 0xff in the target": first_line(b"GET /\xff HTTP/1.1"),
    "coded NUL": get("/v2/health/live%00"),
    "coded NUL in the query": get("/?a=%00"),
    "half a code": get("/v2/health/live%4"),
    "code that is not hex": get("/%zz"),
    "coded slash": get("/v2%2fhealth/live"),
    "dot dot": get("/v2/../v2/health/live"),
    "coded dot dot": get("/v2/%2e%2e/v2/health/live"),
    "dot segment": get("/v2/./health/live"),
    "no Host": first_line(b"GET / HTTP/1.1", b""),
    "two Hosts": head_line(b"Host: a"),
    "two values in Host": first_line(b"GET / HTTP/1.1", b"Host: a, b\r\n"),
    "slash in Host": first_line(b"GET / HTTP/1.1", b"Host: a/b\r\n"),
    "space before the colon": head_line(b"A : b"),
    "tab before the colon": head_line(b"A\t: b"),
    "empty name": head_line(b": b"),
    "space in a name": head_line(b"A b: c"),
    "no colon": head_line(b"A"),
    "folded value": head_line(b"A: b\r\n c"),
    "value folded with a tab": head_line(b"A: b\r\n\tc"),
    "empty folded line": head_line(b"A: b\r\n "),
    "fold before a field": b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\nD: e\r\n\r\n",
    "fold after the request line": b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
    "folded Content-Length": length(b"7\r\n 84"),
    "folded Transfer-Encoding": chunk_bytes(b"").replace(b": chunked", b":\r\n chunked") +
        b"310\r\n" + IMAGE + b"\r\n0\r\n\r\n",
    "NUL in a value": head_line(b"A: b\0c"),
    "NUL in a name": head_line(b"A\0: b"),
    "NUL after Content-Length": length(b"784\0"),
    "CR in a value": head_line(b"A: b\rc"),
    "control byte in a value": head_line(b"A: b\x01"),
    "DEL in a value": head_line(b"A: b\x7f"),
    "line feeds only": b"GET / HTTP/1.1\nHost: a\n\n",
    "one line feed only": b"GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n",
    "two Content-Lengths": length(b"784\r\nContent-Length: 783"),
    "the same Content-Length twice": length(b"784\r\nContent-Length: 784"),
    "list in Content-Length": length(b"784, 784"),
    "signed Content-Length": length(b"+784"),
    "negative Content-Length": length(b"-1"),
    "hex Content-Length": length(b"0x310"),
    "letters in Content-Length": length(b"784a"),
    "empty Content-Length": length(b""),
    "Content-Length beyond 64 bits": length(b"99999999999999999999"),
    "Content-Length that wraps to 784": length(b"18446744073709552400"),
    "Content-Length and chunks": chunked(IMAGE, extra=b"Content-Length: 784\r\n"),
    "chunks and Content-Length first": length(b"784\r\nTransfer-Encoding: chunked",
                                              b"310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "two Transfer-Encodings": chunked(IMAGE, extra=b"Transfer-Encoding: chunked\r\n"),
    "gzip, chunked": chunked(IMAGE, coding=b"gzip, chunked"),
    "chunked, chunked": chunked(IMAGE, coding=b"chunked, chunked"),
    "chunked, identity": chunked(IMAGE, coding=b"chunked, identity"),
    "identity": chunked(IMAGE, coding=b"identity"),
    "xchunked": chunked(IMAGE, coding=b"xchunked"),
    "vertical tab before chunked": chunked(IMAGE, coding=b"\x0bchunked"),
    "chunks on HTTP/1.0": chunked(IMAGE, version=b"1.0"),
    "chunk size that is not a number": chunk_bytes(b"zz\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "negative chunk size": chunk_bytes(b"-310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "chunk size with 0x": chunk_bytes(b"0x310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "chunk size with a space before": chunk_bytes(b" 310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "empty chunk size": chunk_bytes(b";a=b\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": chunk_bytes(b"10000000000000310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "chunk longer than its size": chunk_bytes(b"30f\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "unknown Expect": post(extra=RAW + b"Expect: 200-ok\r\n"),
    "line feed after a chunk": chunk_bytes(b"310\r\n" + IMAGE + b"\n0\r\n\r\n"),
    "line feed after a chunk's size": chunk_bytes(b"310\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "line feed in a chunk's extension": chunk_bytes(b"310;a\nb\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "space after a chunk's size": chunk_bytes(b"310 \r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "length in a trailer": chunked(IMAGE, end=b"0\r\nContent-Length: 3\r\n\r\n"),
    "trailer that is not a field": chunked(IMAGE, end=b"0\r\nA\r\n\r\n"),
    "length of 64 bits": length(b"18446744073709551615"),
    "a handshake of TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "leading zero in the version": first_line(b"GET / HTTP/01.1"),
    "version without minor": first_line(b"GET / HTTP/1"),
    "space in the version": first_line(b"GET / HTTP/ 1.1"),
    "blanks only": b"   \r\n\r\n",
    "zeros only": bytes(64),
    "noise": bytes(range(128, 256)) * 2,
    "CONNECT without port": first_line(b"CONNECT a HTTP/1.1"),
    "CONNECT of a path": first_line(b"CONNECT /v2 HTTP/1.1"),
    "method in lower case": get("/v2", method=b"get"),
    "unknown method": get("/v2", method=b"FOO"),
    "TRACE": get("/v2", method=b"TRACE"),
    "TRACE with a body": get("/v2", b"Content-Length: 3\r\n", method=b"TRACE") + b"abc",
    "long method": get("/v2", method=b"A" * 20000),
    "long name of a field": get(extra=b"A" * 20000 + b": b\r\n"),
    "coded CRLF": get("/v2%0d%0aA:b"),
    "overlong UTF-8": first_line(b"GET /\xc0\xaf HTTP/1.1"),
    "backslash in the target": first_line(b"GET /v2\\health HTTP/1.1"),
    "space in the target": first_line(b"GET /v2 health HTTP/1.1"),
    "byte 0xff in a name": head_line(b"A\xff: b"),
    "user in Host": first_line(b"GET / HTTP/1.1", b"Host: u@a\r\n"),
    "port that is not a number": first_line(b"GET / HTTP/1.1", b"Host: a:b\r\n"),
    "blank line that is none": b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n",
    "carriage returns only": b"GET / HTTP/1.1\rHost: a\r\r" + b"A" * 20000,
    "octal Content-Length": length(b"0o1420"),
    "underscore in Content-Length": length(b"7_84"),
    "space in Content-Length": length(b"7 84"),
    "minus zero": length(b"-0"),
    "length three times": length(b"784, 784, 784"),
    "form feed before chunked": chunked(IMAGE, coding=b"\x0cchunked"),
    "comma before chunked": chunked(IMAGE, coding=b", chunked"),
    "comma after chunked": chunked(IMAGE, coding=b"chunked,"),
    "parameter of chunked": chunked(IMAGE, coding=b"chunked;a=b"),
    "NUL after chunked": chunked(IMAGE, coding=b"chunked\0"),
    "empty Transfer-Encoding": chunked(IMAGE, coding=b""),
    "space before the colon of Transfer-Encoding": chunk_bytes(b"0\r\n\r\n").replace(
        b"Encoding:", b"Encoding :"),
    "plus in a chunk's size": chunk_bytes(b"+310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "underscore in a chunk's size": chunk_bytes(b"3_10\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "control byte in a chunk's extension": chunk_bytes(b"310;\x01\r\n" + IMAGE +
                                                       b"\r\n0\r\n\r\n"),
    "long chunk extension": chunk_bytes(b"310;" + b"a" * 20000 + b"\r\n"),
    "carriage return after a chunk": chunk_bytes(b"310\r\n" + IMAGE + b"\r0\r\n\r\n"),
    "chunk without CRLF": chunk_bytes(b"310\r\n" + IMAGE + b"0\r\n\r\n"),
    "coding in a trailer": chunked(IMAGE, end=b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "Host in a trailer": chunked(IMAGE, end=b"0\r\nHost: a\r\n\r\n"),
    "line feed after a trailer": chunked(IMAGE, end=b"0\r\nA: b\n\r\n"),
    "POST to a path of GET": get("/v2", b"Content-Length: 3\r\n", method=b"POST") + b"abc",
    "body of OPTIONS": get("/v2", b"Content-Length: 3\r\n", method=b"OPTIONS") + b"abc",
    "control byte in a cookie": get(extra=b"Cookie: a=\x01\r\n"),
    "NUL in a cookie": get(extra=b"Cookie: a=\0\r\n"),
    "body where none is taken": get("/", b"Content-Length: 3\r\n") + b"abc",
    "empty Host": first_line(b"GET / HTTP/1.1", b"Host:\r\n"),
    "blanks in Host": first_line(b"GET / HTTP/1.1", b"Host: \t \r\n"),
    "two addresses in Host": first_line(b"GET / HTTP/1.1", b"Host: [::1],a\r\n"),
    "name in brackets in Host": first_line(b"GET / HTTP/1.1", b"Host: [a]\r\n"),
    "asterisk with GET": first_line(b"GET * HTTP/1.1"),
    "two content types": post(extra=RAW + b"Content-Type: application/json\r\n"),
    "chunked, gzip": chunked(IMAGE, coding=b"chunked, gzip"),
    "gzip without chunks": chunk_bytes(b"").replace(b": chunked", b": gzip"),
    "two codings in two fields": chunked(IMAGE, extra=b"Transfer-Encoding: identity\r\n"),
    "blank after chunked and a length": length(b"784\r\nTransfer-Encoding: chunked "),
    "TE with a tab before its colon": chunk_bytes(b"0\r\n\r\n").replace(b"Encoding:", b"Encoding\t:"),
    "semicolon without extension": chunk_bytes(b"310;\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "extension whose name is no token": chunk_bytes(b"310;a@b=c\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "extension without value": chunk_bytes(b"310;a=\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "open quotes in an extension": chunk_bytes(b"310;a=\"b\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "carriage return in an extension": chunk_bytes(b"310;a\rb\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
    "carriage return after a chunk's size": chunk_bytes(b"310\r" + IMAGE + b"\r\n0\r\n\r\n"),
    "last chunk of +0": chunk_bytes(b"310\r\n" + IMAGE + b"\r\n+0\r\n\r\nX"),
    "line feed as the end of chunks": chunk_bytes(b"310\r\n" + IMAGE + b"\r\n0\r\n\n"),
    "body of GET that is a request": get("/v2", b"Content-Length: %d\r\n" % len(get())) + get(),
    "body of GET that is half a request": get("/v2", b"Content-Length: 21\r\n") +
        b"GET /v2 HTTP/1.1\r\nX: " + get(),
    "a request in chunks and a length of +": chunked(get(), extra=b"Content-Length: +6\r\n"),
    "a request in chunks and a length of letters": chunked(get(), extra=b"Content-Length: 6a\r\n"),
    "a request after the shorter of two lengths": length(b"5\r\nContent-Length: 50",
                                                          b"hello" + get()),
    "a request after a chunk's size as body": chunked(get(), extra=b"Content-Length: 4\r\n"),
    "chunks where none are taken": get("/", b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
}

# name -> (request, expected statuses)
GOOD = {
    "64 arguments": (get("/v2?" + "&".join(["a=b"] * 64)), [400]),
    "too many arguments": (get("/v2?" + "&".join(["a=b"] * 65)), [414]),
    "far too many arguments": (get("/v2?" + "a&" * 8000), [414]),
    "GET": (get(), [200]),
    "unknown method-like header": (get(extra=b"X-Method: DELETE\r\n"), [200]),
    "names in any case": (b"GET /v2/health/live HTTP/1.1\r\nhOsT: a\r\n\r\n", [200]),
    "Host with an empty port": (b"GET /v2/health/live HTTP/1.1\r\nHost: a:\r\n\r\n", [200]),
    "Host with port": (b"GET /v2/health/live HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", [200]),
    "no blank after the colon": (b"GET /v2/health/live HTTP/1.1\r\nHost:a\r\nA:b\r\n\r\n", [200]),
    "blanks before a value": (get(extra=b"A: \t b\r\n"), [200]),
    "blank after a value": (get(extra=b"A: b \r\n"), [200]),
    "tab and foreign bytes in a value": (get(extra=b"A: b\tc\xc3\xa9\xff\r\n"), [200]),
    "empty value": (get(extra=b"A:\r\n"), [200]),
    "all token symbols": (get(extra=b"!#$%&'*+-.^_`|~: b\r\n"), [200]),
    "cookie": (get(extra=b"Cookie: a=b; c=d\r\n"), [200]),
    "a hundred fields": (get(extra=b"".join(b"A%d: b\r\n" % i for i in range(100))), [200]),
    "empty line before": (b"\r\n" + get(), [200]),
    "HTTP/1.0": (get(version=b"1.0"), [200]),
    "HTTP/1.0 without Host": (b"GET /v2/health/live HTTP/1.0\r\n\r\n", [200]),
    "later minor version": (get(version=b"1.2"), [200]),
    "absolute form": (first_line(b"GET http://a/v2/health/live HTTP/1.1"), [200]),
    "absolute form without path": (first_line(b"GET http://a HTTP/1.1"), [200]),
    "coded letters": (get("/v2/health/%6ci%76e"), [200]),
    "query": (post(path=b"/predict?preprocess=aut%6f&&"), [200]),
    "unknown query": (get("/v2?a=b%20c&d"), [400]),
    "a probe's query": (get("/v2/health/live?a=b%20c&d"), [200]),
    "query with a URL": (get("/v2/health/live?to=http://a/../b"), [200]),
    "close": (get(extra=b"Connection: close\r\n"), [200]),
    "POST": (post(), [200]),
    "leading zeros": (length(b"000784"), [200]),
    "white space after a length": (length(b"784 \t"), [200]),
    "a cookie as large as the head": (get(extra=b"Cookie: " + b"a=b;" * 4000 + b"\r\n"), [200]),
    "underscores are other names": (length(b"784\r\nTransfer_Encoding: chunked\r\nContent_Length: 3"),
                                    [200]),
    "upgrades are not taken": (get(extra=b"Connection: upgrade\r\nUpgrade: h2c\r\n") + get() +
                               get(extra=b"Upgrade: websocket\r\n"), [200] * 3),
    "ranges are not taken": (get(extra=b"Range: bytes=0-1,0-2\r\n"), [200]),
    "a broken cookie": (get(extra=b"Cookie: ;;=;a\r\nCookie:\r\n"), [200]),
    "another host in an absolute target": (first_line(b"GET http://b/v2 HTTP/1.1"), [421]),
    "zeros before a chunk's size": (chunk_bytes(b"0" * 20 + b"310\r\n" + IMAGE + b"\r\n0\r\n\r\n"),
                                [200]),
    "nothing in chunks": (chunked(), [400]),
    "one chunk": (chunked(IMAGE), [200]),
    "many chunks": (chunked(*[IMAGE[i:i + 7] for i in range(0, 784, 7)]), [200]),
    "chunk size in upper case with zeros": (
        chunk_bytes(b"0030F\r\n" + IMAGE[:783] + b"\r\n1\r\n\0\r\n0\r\n\r\n"), [200]),
    "chunk extension": (chunk_bytes(b"310;a=b\r\n" + IMAGE + b"\r\n0;c\r\n\r\n"), [200]),
    "trailer": (chunked(IMAGE, end=b"0\r\nA: b\r\n\r\n"), [200]),
    "Chunked in another case": (chunked(IMAGE, coding=b"CHUNKED"), [200]),
    "pipelined GETs": (get() * 5, [200] * 5),
    "pipelined POST and GET": (post() + get() + chunked(IMAGE) + get(), [200] * 4),
    "keep-alive after an unlucky body": (post(b"x") + get(), [400, 200]),
    "empty body": (post(b""), [400]),
    "a byte after a body of zero": (post(b"") + b"X" + get(), [400, 405]),
    "Expect, its body and a request": (post(extra=RAW + b"Expect: 100-continue\r\n") + get(), [200] * 2),
    "length after a tab": (length(b"\t784"), [200]),
    "length after blanks": (length(b"   784"), [200]),
    "names in capitals": (b"POST /predict HTTP/1.1\r\nHOST: a\r\nTRANSFER-ENCODING: chunked\r\n" +
                          RAW.upper() + b"\r\n310\r\n" + IMAGE + b"\r\n0\r\n\r\n", [200]),
    "blanks around an extension": (chunk_bytes(b"310 ; a = \"b;\\\"\" ;c\r\n" + IMAGE +
                                               b"\r\n0\r\n\r\n"), [200]),
    "credentials and a type in a trailer": (chunked(IMAGE, end=b"0\r\nAuthorization: a\r\n"
                                                    b"Content-Type: a/b\r\n\r\n") + get(), [200] * 2),
    "ranges of POST": (post(extra=RAW + b"Range: bytes=0-1\r\n"), [200]),
    "upgrade by POST": (post(extra=RAW + b"Connection: upgrade\r\nUpgrade: websocket\r\n"), [200]),
    "upgrade on HTTP/1.0": (get(extra=b"Connection: upgrade\r\nUpgrade: h2c\r\n", version=b"1.0"),
                            [200]),
    "Accept of nonsense": (get(extra=b"Accept: a;;/b\r\n"), [200]),
    "a type that is not known": (post(extra=b"Content-Type: a/b\r\n"), [415]),
    "a path of 7,900 bytes": (get("/" + "a" * 7900), [404]),
}


def refusals(server):
    """The number of answers with an error so far, by the server's count."""
    return sum(value for name, value in metrics(server).items()
               if name.startswith("convnetd_requests_total") and re.search('code="[45]', name))


def test_bad(server):
    """Each request gets one answer, an error as JSON with a request id, also if it is not the first request."""
    before = refusals(server)
    for name, request in BAD.items():
        for earlier in (0, 2):
            with server.connect() as sock:
                sock.sendall(get() * earlier + request)
                stream = Stream(sock)
                try:
                    good = [stream.answer()[0] for _ in range(earlier)]
                    answer = stream.answer()
                    rest = stream.rest()
                except (TimeoutError, socket.timeout, TypeError):
                    check(False, "bad: %s after %d: not answered" % (name, earlier))
                    continue
                check(good == [200] * earlier, "bad: %s: those before: %s" % (name, good))
                check(answer and 400 <= answer[0] < 600 and rest == b"" and
                      answer[1].get("content-type") == "application/json" and
                      "x-request-id" in answer[1] and b'"error"' in answer[2],
                      "bad: %s after %d: %s, then %r" % (name, earlier, answer, rest[:80]))
    counted = refusals(server) - before
    check(counted == 2 * len(BAD), "%d of %d refusals are counted" % (counted, 2 * len(BAD)))
    wait_until(lambda: sum(bool(re.search(" status=[45]", x)) for x in list(server.lines)) ==
               2 * len(BAD), "each refusal is a line of the log")
    print("%d bad requests" % len(BAD))


def test_good(server):
    for name, (request, expected) in GOOD.items():
        for piece in (len(request), 1 if len(request) < 2000 else 97):
            with server.connect() as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for i in range(0, len(request), piece):
                    sock.sendall(request[i:i + piece])
                stream = Stream(sock)
                got = []
                for _ in expected:
                    answer = stream.answer()
                    got.append(answer[0] if answer else None)
                check(got == expected, "good: %s in pieces of %d: %s" % (name, piece, got))
    print("%d good requests" % len(GOOD))


def has_date(answer):
    return re.fullmatch("[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT",
                        answer[1].get("date", "")) is not None


def test_answers(server):
    status, headers, body = ask(server, get("/nothing"))
    check(status == 404 and headers["content-type"] == "application/json" and
          body.startswith(b'{"error": "'), "404 as JSON: %s %s" % (status, body))
    for path, allow in (("/predict", "POST, OPTIONS"), ("/metrics", "GET, HEAD, OPTIONS"),
                        ("/", "GET, HEAD, OPTIONS")):
        status, headers, body = ask(server, get(path, method=b"DELETE"))
        check((status, headers.get("allow")) == (405, allow), "405 for %s: %s" % (path, headers))
    check(status_of(server, get("/predict")) == 405, "GET /predict")
    check(status_of(server, get("/predict/a/b")) == 404, "GET /predict/a/b")
    check(status_of(server, get("/predict/")) == 404, "GET /predict/")
    check(status_of(server, first_line(b"OPTIONS * HTTP/1.1")) == 204, "OPTIONS *")
    check(status_of(server, first_line(b"GET * HTTP/1.1")) == 400, "GET *")
    check(status_of(server, first_line(b"POST /predict HTTP/1.1")) == 411, "POST without length")
    check(status_of(server, get("/" + "a" * 2000)) == 404, "long path")
    check(status_of(server, get("/" + "a" * 100000)) == 414, "target over the head's memory")
    check(status_of(server, get(extra=b"A: " + b"b" * 100000 + b"\r\n")) == 431, "large field")
    check(status_of(server, get(extra=b"A: b\r\n" * 20000)) == 431, "many fields")
    for count, expected in ((127, 200), (128, 431)):  # and Host
        answer = ask(server, get(extra=b"A: b\r\n" * count))
        check(answer[0] == expected and (expected == 200 or b"max-header-fields" in answer[2]),
              "%d fields: %s" % (count, answer))
    for size, expected in ((16000, 200), (17000, 431)):
        answer = ask(server, get(extra=b"A: " + b"b" * size + b"\r\n"))
        check(answer[0] == expected and (expected == 200 or b"max-header allows" in answer[2]),
              "a head of %d: %s" % (size, answer[:2]))
    for request in (get(), get(method=b"OPTIONS"), get("/nothing"), get(method=b"DELETE"), post(b""),
                    first_line(b"GET /"), get(version=b"1.0"), first_line(b"GET http://b/ HTTP/1.1")):
        answer = ask(server, request)
        check(has_date(answer), "a date: %s" % (answer,))
        check("content-length" in answer[1] or answer[0] == 204, "a length: %s" % (answer,))
    check("content-length" not in ask(server, get(method=b"OPTIONS"))[1], "204 has no length")
    with server.connect() as sock: # HTTP/1.0 knows neither 100 nor connections that stay
        sock.sendall(post(extra=RAW + b"Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"))
        got = Stream(sock).rest()
        check(got.startswith(b"HTTP/1.1 200 ") or got.startswith(b"HTTP/1.0 200 "),
              "Expect on HTTP/1.0: %r" % got[:99])
    answer = ask(server, get("/v2/health/live", method=b"HEAD"), head=True)
    check(answer[0] == 200 and "content-length" in answer[1], "HEAD: %s" % (answer,))
    with server.connect() as sock:
        sock.sendall(get(method=b"HEAD") + get(extra=b"Connection: close\r\n"))
        stream = Stream(sock)
        check(stream.answer(head=True)[0] == 200 and stream.answer()[0] == 200 and
              stream.rest() == b"", "nothing follows the head of a HEAD")


def test_body_limit():
    with serving("--max-body=10K") as server:
        # Refused before the upload: no 100, and the answer arrives before the body is sent.
        with server.connect() as sock:
            sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + RAW +
                         b"Content-Length: 10241\r\n\r\n")
            stream = Stream(sock)
            while b"\r\n" not in stream.data and stream.more():
                pass
            check(stream.data.startswith(b"HTTP/1.1 413 "), "413 instead of 100: %r" % stream.data)
        with server.connect() as sock:
            sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + RAW +
                         b"Content-Length: 784\r\n\r\n")
            stream = Stream(sock)
            while b"\r\n\r\n" not in stream.data and stream.more():
                pass
            check(stream.data.startswith(b"HTTP/1.1 100 "), "100: %r" % stream.data)
            sock.sendall(IMAGE)
            check(stream.answer()[0] == 200, "200 after 100")
        # The client sends the body anyway: a reset must not destroy the answer.
        for name, request in (("length", post(bytes(500000))),
                              ("chunks", chunked(*[bytes(1000)] * 500))):
            for _ in range(10):
                with server.connect() as sock:
                    try:
                        sock.sendall(request)
                    except (BrokenPipeError, ConnectionResetError):
                        pass
                    answer = Stream(sock).answer()
                    check(answer and answer[0] == 413 and has_date(answer),
                          "413 while sending (%s): %s" % (name, answer))
        check(status_of(server, chunked(bytes(10241))) == 413, "chunks of one byte too many")
        check(status_of(server, post(bytes(784 * 13))) == 200, "a body just under the limit")


def cut(server, first, drip):
    """Sends `first`, then `drip` byte by byte; true if the server ends the connection."""
    with server.connect() as sock:
        start = time.monotonic()
        sock.sendall(first)
        for i in range(100000):
            readable, _, _ = select.select([sock], [], [], 0.02)
            try:
                if readable and sock.recv(65536) == b"":
                    return True
                sock.sendall(drip[i % len(drip):i % len(drip) + 1])
            except (BrokenPipeError, ConnectionResetError):
                return True
            if time.monotonic() - start > PATIENCE:
                return False
    return False


def test_deadlines():
    with serving("--header-timeout=0.3", "--body-timeout=0.3", "--idle-timeout=0.3",
                 "--write-timeout=0.3") as server:
        check(cut(server, b"", b"\r\n"), "silence with empty lines is cut")
        check(cut(server, b"GET /", b"a"), "a slow request line is cut")
        check(cut(server, b"GET / HTTP/1.1\r\n", b"A: b\r\n"), "slow fields are cut")
        check(cut(server, post(IMAGE)[:-700], b"\0"), "a slow body is cut")
        check(cut(server, chunk_bytes(b"310\r\n"), b"\0"), "a slow chunk is cut")
        check(cut(server, get(), b"\r\n"), "an idle connection is cut")
        check(cut(server, get() + b"GET / HT", b"T"), "a slow second request is cut")
        # A client that does not read: requests a large answer and reads nothing, until sending fails.
        with server.connect() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            start = time.monotonic()
            cut_off = False
            while not cut_off and time.monotonic() - start < PATIENCE:
                _, writable, _ = select.select([], [sock], [], 0.05)
                try:
                    if writable:
                        sock.send(get("/metrics") * 50)
                except (BrokenPipeError, ConnectionResetError):
                    cut_off = True
            check(cut_off, "a client that reads nothing is cut")
        check(status_of(server, get()) == 200, "the server still answers other clients")


def test_many(server, count):
    """Keep-alive connections that all send at the same time, several times."""
    socks = [server.connect() for _ in range(count)]
    streams = [Stream(s) for s in socks]
    start = time.monotonic()
    answered = 0
    for _ in range(10):
        for s in socks:
            s.sendall(get())
        for s in streams:
            answer = s.answer()
            answered += answer is not None and answer[0] == 200
    check(answered == 10 * count, "%d of %d answers" % (answered, 10 * count))
    print("%d connections: %d answers in %.2f s" % (count, answered, time.monotonic() - start))
    for s in socks:
        s.close()


def test_limits():
    with serving("--max-connections=3", "--max-connections-per-address=2") as server:
        first, second = server.connect(), server.connect()
        streams = []
        for s in (first, second):
            s.sendall(get())
            streams.append(Stream(s))
            check(streams[-1].answer()[0] == 200, "under the limit")
        for s in (first, second):
            hold_place(s)
        answer = ask(server, get())
        check(answer[0] == 503 and "retry-after" in answer[1], "over the limit: %s" % (answer,))
        first.close()
        start, status = time.monotonic(), 503
        while status != 200 and time.monotonic() - start < PATIENCE:
            status = status_of(server, get())
        check(status == 200, "room again after a close")
        second.close()


# The client closes its side together with its last bytes.
def test_ended_clients():
    # In the batch lane a client that has closed its side counts as gone.
    with serving("--header-timeout=3600", "--body-timeout=3600", "--idle-timeout=3600",
                 "--inline-us=1000000") as server:
        for count in (1, 3):
            with server.connect() as sock:
                sock.sendall(post(IMAGE) * count)
                sock.shutdown(socket.SHUT_WR)
                stream = Stream(sock)
                check(all(stream.answer()[0] == 200 for _ in range(count)) and stream.rest() == b"",
                      "%d requests and an end: answered and closed" % count)
        start, answered = time.monotonic(), 0
        for _ in range(40):
            with server.connect() as sock:
                sock.sendall(post(IMAGE) + b"GET /pi")
                sock.shutdown(socket.SHUT_WR)
                stream = Stream(sock)
                answered += stream.answer()[0] == 200 and stream.rest() == b""
        check(answered == 40, "a request, a part of the next and an end: %d of 40 answered" % answered)
        # The server waits a second for the rest of a request if it does not notice an end: 40 here.
        check(time.monotonic() - start < 30, "the end is noticed at once")
        for begun in (b"P", b"POST /predict HTTP/1.1\r\nHo", post(IMAGE)[:-1]):
            for _ in range(20):
                with server.connect() as sock:
                    sock.sendall(begun)
        wait_until(lambda: metrics(server)["convnetd_connections"] == 1,
                   "a connection that ended within a request is closed")
        check(server.stop() == 0, "such a connection does not delay the end")


def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))


def test_descriptors():
    with serving("--max-connections=100", "--max-connections-per-address=0", "--http-threads=1",
                 preexec=few_descriptors) as server:
        socks = [server.connect() for _ in range(100)]
        counts = {200: 0, 503: 0, None: 0}
        for s in socks:
            try:
                s.sendall(get())
                answer = Stream(s).answer()
            except (BrokenPipeError, ConnectionResetError):
                answer = None
            counts[answer[0] if answer else None] += 1
        check(counts[200] >= 20 and counts[200] + counts[503] + counts[None] == 100 and
              counts[200] < 60, "without descriptors: %s" % counts)
        for s in socks:
            s.close()
        start, status = time.monotonic(), None
        while status != 200 and time.monotonic() - start < PATIENCE:
            status = status_of(server, get())
        check(status == 200, "answers again")
        check(len(server.lines) < 20, "%d log lines" % len(server.lines))


def test_reload():
    with tempfile.TemporaryDirectory() as folder, open(MODEL, "rb") as file:
        good = file.read()
        path = os.path.join(folder, "m.safetensors")
        with open(path, "wb") as file:
            file.write(good)
        with serving(model=path) as server:
            before = ask(server, post())
            check(before[0] == 200, "before the reload")
            with open(path + ".new", "wb") as file:
                file.write(good[:len(good) // 2])
            os.rename(path + ".new", path)
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_for("reload failed"), "a bad model is reported")
            check(any("reload failed" in x and path in x for x in server.lines),
                  "the report names the file: %s" % server.lines[-1])
            check(ask(server, post())[2] == before[2], "the old model keeps serving")
            with open(path + ".new", "wb") as file:
                file.write(good)
            os.rename(path + ".new", path)
            server.process.send_signal(signal.SIGHUP)
            check(server.wait_for("reload done"), "a good model is taken")
            check(ask(server, post())[2] == before[2], "the new model serves")


def test_stop():
    """SIGTERM while a body is half sent, while a batch runs and while a connection is idle."""
    server = Server()
    resting = server.connect()
    resting.sendall(get())
    check(Stream(resting).answer()[0] == 200, "resting connection")
    batch = server.connect()
    half = server.connect()
    half.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + RAW +
                 b"Content-Length: 784\r\n\r\n")
    stream = Stream(half)
    while b"100 Continue" not in stream.data and stream.more():
        pass
    late = server.connect()
    late.sendall(get())
    batch.sendall(post(bytes(784 * 5000)))
    server.process.send_signal(signal.SIGTERM)
    check(server.wait_for("finishing what runs"), "SIGTERM is logged")
    answer = Stream(late).answer()
    check(answer and answer[0] == 200, "a request that was sent before SIGTERM: %s" % (answer,))
    check(Stream(resting).rest() == b"", "the resting connection is closed")
    half.sendall(IMAGE)
    answer = stream.answer()
    check(answer and answer[0] == 200 and answer[1].get("connection", "").lower() == "close",
          "a half-sent request is answered: %s" % (answer,))
    answer = Stream(batch).answer()
    check(answer and answer[0] == 200, "a running batch is answered: %s" % (answer and answer[0]))
    check(server.stop() == 0, "exit status 0")
    # A client that never finishes does not delay the end for ever.
    server = Server("--shutdown-timeout=0.3")
    with server.connect() as sock:
        sock.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n" + RAW +
                     b"Content-Length: 784\r\n\r\n")
        Stream(sock).more()
        check(server.stop() == 0, "exit status 0 with a stuck client")
    server = Server()
    check(server.stop(signal.SIGINT) == 0, "exit status 0 after SIGINT")


def test_start():
    with serving() as server:
        code, _, error = run("--model=" + MODEL, "--port=%d" % server.port)
        check(code == 1 and "in use" in error and str(server.port) in error,
              "port in use: %d %s" % (code, error))
    code, _, error = run("--model=/nonexistent/m.safetensors", "--port=0")
    check(code == 1 and "/nonexistent/m.safetensors" in error, "missing model: %s" % error)
    code, out, _ = run("--model=" + MODEL, "--check-config")
    check(code == 0 and out.startswith("OK"), "--check-config: %d %s" % (code, out))
    code, _, error = run("--model=/nonexistent/m", "--check-config")
    check(code == 1 and "/nonexistent/m" in error, "--check-config without model")
    check(run("--version")[:2] == (0, run("--version")[1]) and
          run("--version")[1].startswith("convnetd "), "--version")
    code, out, _ = run("--help")
    check(code == 0 and "--max-body" in out and "--config" in out, "--help")
    check(run("--nonsense")[0] == 2, "unknown flag")
    check(run("word")[0] == 2, "argument that is not a flag")
    code, _, error = run("--port=http")
    check(code == 2 and "port 'http' must be" in error, "bad flag: %s" % error)
    code, _, error = run("--address=0.0.0.0")
    check(code == 2 and "insecure" in error, "non-loopback address: %s" % error)
    code, _, error = run("--address=example", "--insecure", "--model=" + MODEL, "--port=0")
    check(code == 2 and "address 'example'" in error and "numeric" in error,
          "address by name: %s" % error)
    for option, value, says in (("address", "192.0.2.77", "address: cannot listen at 192.0.2.77"),
                                ("admin-socket", "/nonexistent/a", "folder /nonexistent/"),
                                ("admin-socket", "/etc/passwd", "is not a socket")):
        code, out, error = run("--%s=%s" % (option, value), "--insecure", "--model=" + MODEL,
                               "--check-config")
        check(code == 1 and says in error and "OK" not in out,
              "--check-config with %s %s: %d %s" % (option, value, code, error))
    with serving("--address=localhost") as server:
        check(status_of(server, get()) == 200, "localhost is an address")
        code, out, _ = run("--port=%d" % server.port, "--model=" + MODEL, "--check-config")
        check(code == 0 and out.startswith("OK"), "the port of a daemon that runs is no fault")
    code, _, error = run("--print-config", environment={"CONVNETD_MAX_BODY": "1X"})
    check(code == 2 and "CONVNETD_MAX_BODY" in error and "1X" in error, "variable: %s" % error)


def test_file():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "c.conf")
        for text, line, words in (
                ("port = 1\nprot = 2\n", 2, "'prot' is unknown"),
                ("# x\n\nmax-body = 1\n", 3, "max-body '1' must be a size from 1K to 1G"),
                ("port = 1\nthreads = 1\nport = 2\n", 3, "line 1"),
                ("port = 70000\n", 1, "from 0 to 65535"),
                ("log-level = loud\n", 1, "one of error, warning, info, debug"),
                ("[http]\nport = 1\n", 1, "[http]"),
                ("port 1\n", 1, "key = value"),
                ("model = " + "a" * 5000 + "\n", 1, "too long"),
                ("insecure = maybe\n", 1, "yes or no")):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            code, _, error = run("--config=" + path)
            check(code == 2 and "%s:%d: " % (path, line) in error and words in error,
                  "file %r: %d %s" % (text[:40], code, error))
        code, _, error = run("--config=" + path + ".none")
        check(code == 2 and path + ".none" in error, "missing file: %s" % error)
        # Defaults, then the file, then the environment, then flags.
        with open(path, "w", encoding="ascii") as file:
            file.write("  port = 1 ; first\nmax-images=1\nmax-picture=1\n")
        _, out, _ = run("--config", path, "--max-images", "3", "--print-config",
                        environment={"CONVNETD_MAX_IMAGES": "2", "CONVNETD_MAX_PICTURE": "2"})
        for row in ("port = 1", "max-picture = 2", "max-images = 3", "batch-images = 256"):
            check("\n" + row + "\n" in out, "precedence: %s" % row)
        # The printed configuration can be read back.
        with open(path, "w", encoding="ascii") as file:
            file.write(out)
        check(run("--config", path, "--print-config")[1] == out, "print, read, print")


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with serving("--header-timeout=60", "--body-timeout=60", "--access-log=yes") as server:
        test_bad(server)
    with serving("--header-timeout=60", "--body-timeout=60") as server:
        test_good(server)
        test_answers(server)
    for count in (1, 119, 120, 128, 240, 256, 480):
        # Exactly as many as fit: 120 per thread.
        with serving("--max-connections=%d" % count, "--max-connections-per-address=0",
                     "--http-threads=1") as server:
            test_many(server, count)
    test_body_limit()
    test_deadlines()
    test_limits()
    test_ended_clients()
    test_descriptors()
    test_reload()
    test_stop()
    test_start()
    test_file()
    return finish()


if __name__ == "__main__":
    sys.exit(main())
