#!/usr/bin/env python3
"""Many pictures in one request: multipart, JSON, zip and tar. Each has its number and its name; a bad picture
has its own error; ?strict=1 is all or nothing; hostile archives are refused; and two pictures one after another
in a body are an error.
"""
import base64
import csv
import gzip
import io
import json
import os
import struct
import sys
import tarfile
import zipfile

from daemon import MODEL, SOURCE, ask, check, finish, post, serving

DATA = os.path.join(SOURCE, "tests", "data")
with open(os.path.join(DATA, "seven.png"), "rb") as seven:
    SEVEN = seven.read()
FORM = b"Content-Type: multipart/form-data; boundary=xx\r\n"
JSON = b"Content-Type: application/json\r\n"
NAMES = ["scans/a.png", "scans/b, \"c\".png", "scans/ä.png"]


def form(*parts):
    """(disposition, type or None, data) as multipart/form-data."""
    body = b""
    for disposition, kind, data in parts:
        body += b"--xx\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n"
        body += b"Content-Type: %s\r\n" % kind.encode() if kind else b""
        body += b"\r\n" + data + b"\r\n"
    return body + b"--xx--\r\n"


def zipped(members, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def tarred(members, form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def told(server, body, headers=b"", path=b"/predict"):
    """(status, the JSON)."""
    status, _, text = ask(server, post(body, headers, path))
    return status, json.loads(text)


def short(answer):
    """The predictions as (index, file, class or the error's first word)."""
    status, whole = answer
    if status != 200:
        return status, whole["error"]
    return [(p.get("index"), p.get("file"), p["class"] if "class" in p else "error")
            for p in whole["predictions"]]


def test_form(server):
    raw = bytes(784)[:300] + b"\xff" * 100 + bytes(384)
    body = form(('name="who"', None, b"Ada"), ('name="a"; filename="first.png"', "image/png", SEVEN),
                ('name="b"; filename="bad.png"', "image/png", b"no picture"),
                ('name="chosen"; filename=""', "application/octet-stream", b""),
                ('name="c"', None, SEVEN),
                ('filename="x\\"y;z.raw"; name=d', "application/octet-stream", raw),
                ('name="e"; filename="cut.png"', "image/png", SEVEN[:-20]))
    got = short(told(server, body, FORM))
    check([x[:2] for x in got] == [(0, "first.png"), (1, "bad.png"), (2, "c"), (3, 'x\\"y;z.raw'),
                                   (4, "cut.png")], "the form's names: %s" % (got,))
    check([x[2] for x in got][:3] == [7, "error", 7] and got[4][2] == "error", "the form: %s" % got)
    status, whole = told(server, body, FORM, b"/predict?strict=1")
    check(status == 400 and "part 2" in whole["error"], "strict: %s %s" % (status, whole))
    one = form(('name="who"', None, b"Ada"), ('name="b"; filename="bad.png"', None, b"nothing"))
    check(told(server, one, FORM)[0] == 400, "the only picture is the request")
    fields = form(('name="who"', None, b"Ada"), ('name="b"', "text/plain", b"nothing"))
    check(told(server, fields, FORM)[0] == 400, "fields alone")
    status, whole = told(server, b"x", b"Content-Type: image/png\r\n", b"/predict?strict=maybe")
    check(status == 400 and "maybe" in whole["error"], "strict's values: %s" % whole)


def test_json(server):
    good = base64.b64encode(SEVEN).decode()
    bad = [base64.b64encode(SEVEN[:-20]).decode(), "*" * 40, "aGVsbG8=", [1, 2, 3], [[0.5] * 28] * 27,
           [7.0] * 783 + [256], {"a": [1]}, None, 7, [[]], []]
    for one in bad:
        body = json.dumps({"images": [good, one, good]}).encode()
        got = short(told(server, body, JSON))
        check(got == [(0, None, 7), (1, None, "error"), (2, None, 7)], "%s: %s" % (one, got))
        check(told(server, body, JSON, b"/predict?strict=1")[0] in (400, 415), "strict: %s" % one)
        check(told(server, json.dumps({"images": [one]}).encode(), JSON)[0] in (400, 415),
              "alone: %s" % one)
    for broken in (b'{"images":["%s",[1,,2]]}', b'{"images":["%s",[1,2}', b'{"images":["%s",x]}'):
        status, _ = told(server, broken % good.encode(), JSON)
        check(status == 400, "a body that is not JSON is not a list: %s" % broken)


def test_texts(server):
    """CSV and NDJSON have names, numbers and errors, too; the columns never change."""
    body = zipped(zip(NAMES, (SEVEN, b"bad", SEVEN)))
    text = ask(server, post(body, b"Accept: text/csv\r\n"))[2].decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    check([(r["index"], r["file"], r["class"], bool(r["error"])) for r in rows] ==
          [("0", NAMES[0], "7", False), ("1", NAMES[1], "", True), ("2", NAMES[2], "7", False)] and
          all(None not in r and None not in r.values() for r in rows), "CSV: %s" % text)
    alone = ask(server, post(SEVEN, b"Accept: text/csv\r\n"))[2].decode()
    check(alone.split("\r\n")[0] == text.split("\r\n")[0], "the columns of one: %s" % alone)
    lines = ask(server, post(body, b"Accept: application/x-ndjson\r\n"))[2].decode().splitlines()
    check([(json.loads(x)["index"], json.loads(x)["file"], "error" in json.loads(x))
           for x in lines] == [(i, n, i == 1) for i, n in enumerate(NAMES)], "NDJSON: %s" % lines)


def test_archives(server):
    members = [("scans/", b"")] + [(n, SEVEN) for n in NAMES] + \
        [("scans/.DS_Store", b"x"), ("__MACOSX/scans/a.png", b"x"), ("readme.txt", SEVEN), ("v1.0/notes.md", b"x"), ("l" * 180 + ".png", SEVEN)]
    expected = [(i, n, 7) for i, n in enumerate(NAMES + ["l" * 180 + ".png"])]
    bodies = {"zip": zipped(members), "stored zip": zipped(members, zipfile.ZIP_STORED)}
    for name, kind in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT),
                       ("pax", tarfile.PAX_FORMAT)):
        few = members[:-1] if name == "ustar" else members
        bodies[name] = tarred([m for m in few if m[0] != "scans/"], kind)
    for name, body in bodies.items():
        for header in (b"", b"Content-Type: application/zip\r\n",
                       b"Content-Type: application/octet-stream\r\n"):
            got = short(told(server, body, header))
            check(got == expected[:len(got)] and len(got) >= 3, "%s as %s: %s" % (name, header, got))
    got = short(told(server, gzip.compress(bodies["gnu"]), b"Content-Encoding: gzip\r\n"))
    check(got == expected, "a tar in gzip: %s" % (got,))
    got = short(told(server, form(('name="f"; filename="s.zip"', None, bodies["zip"])), FORM))
    check(got == expected, "a zip in a form: %s" % (got,))
    streamed = io.BytesIO()
    streamed.seekable = lambda: False
    with zipfile.ZipFile(streamed, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.png", "w", force_zip64=True) as member:
            member.write(SEVEN)
    got = short(told(server, streamed.getvalue()))
    check(got == [(0, "a.png", 7)], "a zip that was written to a pipe: %s" % (got,))


def test_hostile(server):
    bomb = zipped([("a.png", SEVEN), ("bomb.png", b"\x89PNG\r\n\x1a\n" + bytes(8 << 20))])
    got = short(told(server, bomb))
    check(got == [(0, "a.png", 7), (1, "bomb.png", "error")], "a bomb: %s" % (got,))
    status, whole = told(server, zipped([("z%d" % i, bytes(4 << 20)) for i in range(5)]))
    check(status == 413 and "max-body" in whole["error"], "20 MiB of zeros: %s" % whole)
    status, whole = told(server, zipped([("%d" % i, b"") for i in range(100)]))
    check(status == 413 and "images" in whole["error"], "100 members: %s" % whole)
    got = short(told(server, zipped([("v1.0/7", SEVEN), ("licence", b"x")])))
    check(got == [(0, "v1.0/7", 7), (1, "licence", "error")], "names without an ending: %s" % (got,))
    for name, body in (("empty zip", zipped([])), ("a folder", zipped([("a/", b"")])),
                       ("no picture", zipped([("readme.txt", b"x")]))):
        check(told(server, body)[0] == 400, name)
    body = zipped([("a.png", SEVEN), ("b.png", SEVEN)])
    central = body.index(b"PK\1\2")
    for at, value in ((central, b"PX"), (central + 20, struct.pack("<I", 1 << 31)),
                      (central + 42, struct.pack("<I", 1 << 30)), (central + 28, b"\xff\xff"),
                      (len(body) - 6, struct.pack("<I", 1 << 20)), (len(body) - 12, b"\xff\x7f")):
        broken = body[:at] + value + body[at + len(value):]
        status, whole = told(server, broken)
        check(status == 400 and "zip" in whole["error"], "broken at %d: %s %s" % (at, status, whole))
    locked = body[:central + 8] + b"\1" + body[central + 9:]
    got = short(told(server, locked))
    check(got == [(0, "a.png", "error"), (1, "b.png", 7)], "an encrypted member: %s" % (got,))
    tar = tarred([("a.png", SEVEN)])
    status, whole = told(server, tar[:700])
    check(status == 400 and "cut" in whole["error"], "a tar that is cut: %s" % whole)


def test_two_in_one(server):
    """Two pictures one after another are an error, in every format that has an end."""
    folder = os.path.join(DATA, "pictures")
    count = 0
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            picture = file.read()
        alone = told(server, picture)
        if alone[0] != 200:
            continue
        for other in (picture, SEVEN):
            status, whole = told(server, picture + other)
            check(status == 400 and "second picture" in whole["error"],
                  "%s and another: %s %s" % (name, status, str(whole)[:90]))
        count += 1
    status, whole = told(server, SEVEN + SEVEN)
    check(status in (400, 415), "two PNGs: %s %s" % (status, whole))
    check(count > 3, "%d formats" % count)


def main():
    if not os.path.exists(MODEL):
        print("no model at %s" % MODEL)
        return 77
    with serving("--max-images=64") as server:
        for test in (test_form, test_json, test_texts, test_archives, test_hostile,
                     test_two_in_one):
            test(server)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
