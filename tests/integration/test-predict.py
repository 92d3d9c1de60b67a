#!/usr/bin/env python3
"""POST /predict through curl, as people use it: every form of an image gives the same bits, real digits are
read, lanes and batches change nothing, and each invalid input gets its message. Needs curl (77 without). MODEL
names the model (default: the shipped one).
"""
import base64
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

from daemon import BUILD, MODEL, PATIENCE, SOURCE, check, finish, serving
from wire import png, png_file

SAMPLE = os.path.join(SOURCE, "tests", "data", "mnist-sample")
PNG, JSON, OCTETS = "image/png", "application/json", "application/octet-stream"


def sample():
    with gzip.open(os.path.join(SAMPLE, "t10k-images-idx3-ubyte.gz")) as file:
        pixels = file.read()[16:]
    with gzip.open(os.path.join(SAMPLE, "t10k-labels-idx1-ubyte.gz")) as file:
        labels = file.read()[8:]
    return [pixels[784 * i:784 * i + 784] for i in range(len(labels))], list(labels)


def larger(pixels, times):
    rows = [bytes(p for p in pixels[28 * y:28 * y + 28] for _ in range(times)) for y in range(28)]
    return b"".join(row * times for row in rows)


class Curl:
    """Posts bodies with curl. An answer is (status, content type, body)."""

    def __init__(self, server, folder):
        self.url = "http://127.0.0.1:%d" % server.port
        self.body = os.path.join(folder, "body")

    def __call__(self, *arguments, path="/predict"):
        out = subprocess.run(
            ["curl", "-sS", "--max-time", "%d" % PATIENCE, "-w", "\n%{http_code} %{content_type}",
             *arguments, self.url + path], capture_output=True, check=False)
        body, _, last = out.stdout.rpartition(b"\n")
        status, _, kind = last.decode().partition(" ")
        return int(status), kind, body

    def post(self, body, kind=None, path="/predict", *arguments):
        with open(self.body, "wb") as file:
            file.write(body)
        headers = ["-H", "Content-Type: " + kind] if kind is not None else []
        return self("--data-binary", "@" + self.body, *headers, *arguments, path=path)


def predictions(answer):
    """The predictions of a 200; checks the rules of all answers."""
    status, kind, body = answer
    if status != 200 or not kind.startswith(JSON):
        check(False, "no prediction: %s %s %s" % (status, kind, body[:200]))
        return []
    answer = json.loads(body)
    check(answer["model"] == os.path.basename(MODEL).rsplit(".", 1)[0], "the model's name")
    for p in answer["predictions"]:
        check(len(p["probabilities"]) == 10 and abs(sum(p["probabilities"]) - 1) < 1e-6 and
              p["probabilities"].index(max(p["probabilities"])) == p["class"] and
              p["label"] == str(p["class"]) and 0 <= p["confidence"] <= 1, "%s" % p)
    # The shortest decimals that give the same float: at most 9 digits, and fewer would give another float.
    for text in re.findall(r'"probabilities":\[([^]]*)\]', body.decode()):
        for number in text.split(","):
            value = struct.pack("<f", float(number))
            digits = re.sub(r"e.*|\.|-", "", number).strip("0")
            shorter = "%.*g" % (max(len(digits) - 1, 1), float(number))
            check(len(digits) <= 9 and (len(digits) <= 1 or
                                        struct.pack("<f", float(shorter)) != value),
                  "%s is not the shortest" % number)
    return answer["predictions"]


def probabilities(answer):
    return [p["probabilities"] for p in predictions(answer)]


def test_forms(curl, images, labels):
    """PNG, raw, JSON, base64 and multipart: the same image, the same bits."""
    image = images[3]
    expected = probabilities(curl.post(image, OCTETS))
    check(len(expected) == 1, "one prediction")
    nested = [list(image[28 * y:28 * y + 28]) for y in range(28)]
    forms = {
        "PNG": (png(image), PNG),
        "PNG without a type": (png(image), None),
        "PNG as octets": (png(image), OCTETS),
        "nested numbers": (json.dumps({"images": [nested]}), JSON),
        "with channels": (json.dumps({"images": [[[[v] for v in r] for r in nested]]}), JSON),
        "flat numbers": (json.dumps({"images": [list(image)]}), JSON),
        "charset": (json.dumps({"images": [list(image)]}), JSON + "; charset=utf-8"),
        "numbers of 1": (json.dumps({"range": 1, "images": [[v / 255 for v in image]]}), JSON),
        "fractions": (json.dumps({"images": [[v / 255 for v in image]]}), JSON),
        "unknown keys": (json.dumps({"x": {"y": [1, "]"]}, "images": [nested], "z": None}), JSON),
        "base64": (json.dumps({"images": [base64.b64encode(png(image)).decode()]}), JSON),
    }
    for name, (body, kind) in forms.items():
        body = body if isinstance(body, bytes) else body.encode()
        got = probabilities(curl.post(body, kind))
        if name == "numbers of 1":  # the text of v / 255 has the digits of a double
            check(all(abs(a - b) < 1e-6 for a, b in zip(got[0], expected[0])), name)
        else:
            check(got == expected, "%s: %s instead of %s" % (name, got, expected))
    with open(curl.body, "wb") as file:
        file.write(png(image))
    raw = curl.body + ".raw"
    with open(raw, "wb") as file:
        file.write(images[4])
    got = probabilities(curl("-F", "a=@" + curl.body, "-F", "b=@" + raw))
    check(got == expected + probabilities(curl.post(images[4], OCTETS)), "multipart")
    for name, answer in (("raw without a type", curl.post(image, "")),
                         ("raw as a form, as curl sends it", curl.post(image)),
                         ("a text as a part", curl("-F", "b=@" + raw + ";type=text/plain"))):
        check(answer[0] in (400, 415) and b"application/octet-stream" in answer[2],
              "%s is not taken by its length: %s" % (name, answer))
    status, _, body = curl.post(b"@picture.png")
    check(status == 415 and b"--data-binary @FILE" in body, "curl's slip: %s" % body)
    for slip, words in ((("--data-binary", "scan.PNG"), b'the text \\"scan.PNG\\": curl reads a file'),
                        (("-d", "@" + os.path.join(SOURCE, "examples", "seven.png")), b"--data-binary @FILE"),
                        (("-F", "file=scan.png"), b"-F NAME=@FILE"),
                        (("--data-binary", "a text\nof.png"), b"neither a picture")):
        status, _, body = curl(*slip)
        check(status in (400, 415) and words in body, "%s: %s" % (slip, body))
    check(probabilities(curl.post(image, OCTETS, "/predict/digits")) == expected or
          not MODEL.endswith("digits.safetensors"), "by the model's name")
    status, _, body = curl.post(image, OCTETS, "/predict/nonesuch")
    check(status == 404 and b"nonesuch" in body, "an unknown model: %s" % body)
    hits = sum(p["class"] == label for p, label in
               zip(predictions(curl.post(b"".join(images), OCTETS)), labels))
    check(hits >= 0.98 * len(images), "%d of %d right" % (hits, len(images)))


def test_pictures(curl, images, labels):
    """Typical pictures: large, dark on light. Also the picture that the README posts."""
    for name, change in (("inverted", lambda p: bytes(255 - v for v in p)),
                         ("eight times as large", lambda p: larger(p, 8)),
                         ("large, dark on light", lambda p: bytes(255 - v for v in larger(p, 5)))):
        hits = 0
        for image, label in zip(images[:40], labels):
            pixels = change(image)
            side = int(len(pixels)**0.5)
            hits += predictions(curl.post(png(pixels, side)))[0]["class"] == label
        check(hits >= 38, "%s: %d of 40 right" % (name, hits))
    with open(os.path.join(SOURCE, "tests", "data", "seven.png"), "rb") as file:
        check(predictions(curl.post(file.read()))[0]["class"] == 7, "seven.png")
    folder = os.path.join(SOURCE, "tests", "data", "pngs")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".png"):
            with open(os.path.join(folder, name), "rb") as file:
                status, _, body = curl.post(file.read())
                # Each is decoded; they are noise, which may be refused because it has no ink.
                check(status == 200 or status == 422 and b"blank" in body, "%s: %s" % (name, body))


def test_formats_of_pictures(curl):
    """Every format is recognised by its bytes, with any Content-Type; a format that is not supported is named."""
    folder = os.path.join(SOURCE, "tests", "data", "pictures")
    for name in sorted(os.listdir(folder)):
        if name.endswith(".py"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            body = file.read()
        for kind in (None, "image/jpeg", OCTETS, "application/pdf"):
            status, _, answer = curl.post(body, kind)
            built = status == 415 and b"built without it" in answer
            check(status in (200, 422) or built, "%s as %s: %s" % (name, kind, answer))
        text = json.dumps({"images": [base64.b64encode(body).decode()]})
        check(curl.post(text.encode(), JSON)[0] in (200, 415, 422), "%s in base64" % name)
    for words, body in ((b"pdftoppm", b"%PDF-1.7\n%"), (b"HEIC", b"\0\0\0\x18ftypheic\0\0\0\0"),
                        (b"rsvg-convert", b"<svg xmlns='x'></svg>")):
        status, _, answer = curl.post(body)
        check(status == 415 and words in answer, "415 with %s: %s" % (words, answer))


def test_preprocessing(curl, images):
    """The answer says how a picture was preprocessed, and only for pictures; ?preprocess=, ?image= and their
    limits."""
    image = images[3]
    expected = probabilities(curl.post(image, OCTETS))

    def report(answer):
        return predictions(answer)[0].get("preprocessing")

    same = report(curl.post(png(image)))
    check(same is not None and same["unchanged"] and not same["inverted"] and
          same["crop"] == [0, 0, 28, 28] and same["scale"] == 1, "untouched: %s" % same)
    large = bytes(255 - v for v in larger(image, 5))
    done = report(curl.post(png(large, 140)))
    check(done is not None and not done["unchanged"] and done["inverted"] and
          0.15 < done["scale"] < 0.25 and max(done["crop"][2:]) > 90, "large: %s" % done)
    body = json.dumps({"images": [[list(image)], base64.b64encode(png(image)).decode()]}).encode()
    answer = curl.post(body.replace(b"[[", b"[").replace(b"]]", b"]", 1), JSON)
    check([p.get("preprocessing") for p in predictions(answer)] == [None, same],
          "numbers have no report, a base64 PNG has: %s" % (answer,))
    check(report(curl.post(image, OCTETS)) is None, "nor have raw images")
    # Two digits beside each other: one is ignored, or both are one picture; the answer says which.
    rows = [larger(images[k], 5) for k in (3, 4)]
    pair = b"".join(rows[k][140 * y:140 * y + 140] for y in range(140) for k in range(2))
    two, one = (predictions(curl.post(body))[0] for body in (png(pair, 280),
                                                             png(rows[0], 140)))
    check(two.get("others") == 1 == two["preprocessing"]["others"] and two.get("see") == "/read" and
          two["confidence"] <= max(two["probabilities"]) / 2 + 1e-6, "two digits: %s" % two)
    check("others" not in one and one["preprocessing"]["others"] == 0, "one digit: %s" % one)
    # The image that the network saw, posted again, gives the same bits.
    for name, body in (("a picture", png(large, 140)), ("MNIST's", png(image)), ("raw", image)):
        first = predictions(curl.post(body, None if body is not image else OCTETS,
                                      "/predict?image=png"))[0]
        again = predictions(curl.post(base64.b64decode(first["image"]), PNG))[0]
        check(again["probabilities"] == first["probabilities"] and
              again["preprocessing"]["unchanged"] and "image" not in again, "%s: the image" % name)
    none = curl.post(png(image), PNG, "/predict?preprocess=none")
    check(probabilities(none) == expected and report(none)["unchanged"], "none: %s" % (none,))
    light = bytes(255 - v for v in image)
    check(probabilities(curl.post(png(light), PNG, "/predict?preprocess=none")) ==
          probabilities(curl.post(light, OCTETS)), "none takes light for ink")
    check(probabilities(curl.post(png(light), PNG, "/predict?preprocess=auto")) == expected, "auto")
    for name, status, words, body, query in (
            ("another size", 422, ("140 x 140", "28 x 28"), png(large, 140), "preprocess=none"),
            ("blank", 422, ("picture 1", "blank"), png(bytes([255]) * 784), ""),
            ("large and blank", 422, ("blank", "by 12 of 255", "difference is 0"), png(bytes([7]) * 10000, 100), "image=png"),
            ("no mode", 400, ("\"yes\"", "auto, none"), png(image), "preprocess=yes"),
            ("no format", 400, ("\"gif\"", "png"), png(image), "image=gif")):
        got, _, answer = curl.post(body, PNG, "/predict?" + query)
        check(got == status and all(word in json.loads(answer)["error"] for word in words),
              "%s: %s %s" % (name, got, answer))


def test_formats(curl, images):
    expected = predictions(curl.post(b"".join(images[:3]), OCTETS))
    status, kind, body = curl.post(b"".join(images[:3]), OCTETS, "/predict", "-H",
                                   "Accept: text/csv")
    rows = body.decode().split("\r\n")
    check(status == 200 and kind.startswith("text/csv") and len(rows) == 5 and
          rows[0].startswith("index,file,class,label,confidence,p_0,"), "CSV: %s" % body)
    scored = subprocess.run([os.path.join(BUILD, "convnet"), "predict", "--model", MODEL,
                             os.path.join(SOURCE, "examples", "seven.png")], capture_output=True, check=True)
    check(rows[0].split(",")[1:] == scored.stdout.decode().split("\n", maxsplit=1)[0].split(","),
          "the command calls its columns alike: %s" % scored.stdout)
    for row, p in zip(rows[1:], expected):
        check([float(v) for v in row.split(",")[5:15]] == p["probabilities"], "CSV's %s" % row)
    status, kind, body = curl.post(b"".join(images[:3]), OCTETS, "/predict", "-H",
                                   "Accept: application/x-ndjson")
    lines = [json.loads(line) for line in body.decode().splitlines()]
    check(status == 200 and kind.startswith("application/x-ndjson") and lines == expected, "NDJSON")


def test_sets(curl, images, labels):
    """?error=: one label, several or none."""
    rejected = metric(curl(path="/metrics")[2].decode(), "convnetd_answers_rejected_total{")
    many = predictions(curl.post(b"".join(images), OCTETS, "/predict?error=0.01"))
    single = [p for p in many if len(p["labels"]) == 1]
    check(len(single) >= 0.9 * len(many), "single labels: %d of %d" % (len(single), len(many)))
    check(sum(str(label) in p["labels"] for p, label in zip(many, labels)) >= 0.98 * len(many) and
          all(p["label"] in p["labels"] for p in single), "the sets hold the right label")
    noise = bytes(i * 7919 % 251 for i in range(len(images[0])))
    strange = predictions(curl.post(noise, OCTETS, "/predict?error=0.01"))[0]
    check(strange["labels"] == [] and strange["rejected"] is True, "noise: %s" % strange)
    open_answers = metric(curl(path="/metrics")[2].decode(), "convnetd_answers_rejected_total{")
    check(open_answers > rejected, "the rejected one is counted")
    wide = predictions(curl.post(noise, OCTETS, "/predict?error=0.001"))[0]
    check(wide["rejected"] is False and len(wide["labels"]) > 1, "nearly no error: %s" % wide)
    check("labels" not in predictions(curl.post(noise, OCTETS))[0], "sets come when asked for")
    body = curl.post(images[0] + noise, OCTETS, "/predict?error=0.01", "-H", "Accept: text/csv")[2]
    rows = [row.split(",") for row in body.decode().split("\r\n")[:3]]
    check(rows[0][-3:] == ["labels", "rejected", "error"] and rows[2][-3:] == ["", "1", ""] and
          rows[1][-2] == "0", "CSV: %s" % rows)
    for value in ("0", "1", "nan", "0.01x", "", "-0.5", "0x1p-4", "1e-9"):
        status, _, body = curl.post(images[0], OCTETS, "/predict?error=" + value)
        check(status == 400 and b"error is" in body, "error=%s: %s" % (value, body))


def bomb():
    """A 32x32 picture whose valid data decompress to 16 MiB."""
    return png_file(32, 32, bytes(16 << 20))


def bad_bodies(images):
    """(name, status, words in the message, body, type)."""
    image, whole = images[0], png(images[0])
    numbers = [list(image[28 * y:28 * y + 28]) for y in range(28)]
    crc = bytearray(whole)
    crc[40] ^= 1

    def images_of(value):
        return json.dumps({"images": value}).encode()

    yield "empty", 400, "empty", b"", OCTETS
    yield "783 bytes", 400, "783", image[1:], OCTETS
    yield "PNG cut", 400, "picture 1", whole[:-20], PNG
    yield "PNG cut in its head", 400, "picture 1", whole[:20], PNG
    yield "PNG corrupt", 400, "picture 1", bytes(crc), PNG
    yield "no PNG", 400, "picture 1", image, PNG
    yield "PNG too large", 413, "5000", png_file(5000, 5000, b""), PNG
    yield "PNG of no size", 400, "picture 1", png_file(0, 28, b""), PNG
    yield "PNG of an illegal type", 400, "picture 1", png_file(28, 28, b"", colour=5), PNG
    yield "bomb", 400, "picture 1", bomb(), PNG
    yield "type", 415, "text/html", image, "text/html"
    yield "neither", 415, "neither", b"hello", None
    yield "no JSON", 400, "byte 0", b"hello", JSON
    yield "JSON cut", 400, "ends at byte", images_of([numbers])[:-3], JSON
    yield "JSON and more", 400, "the end", images_of([numbers]) + b"x", JSON
    yield "JSON with a NUL", 400, "byte 0", images_of([numbers]) + b"\0", JSON
    yield "no images", 400, "images", b"{}", JSON
    yield "an empty list", 400, "empty", images_of([]), JSON
    yield "a list", 400, "'{'", b"[]", JSON
    yield "27 rows", 400, "27 rows", images_of([numbers[1:]]), JSON
    yield "29 rows", 400, "29 rows", images_of([numbers + numbers[:1]]), JSON
    yield "a short row", 400, "27", images_of([[numbers[0][1:]] + numbers[1:]]), JSON
    yield "one number", 400, "list of 1", images_of([[1]]), JSON
    yield "strings", 400, "number", images_of([[["0"] * 28] * 28]), JSON
    yield "null", 400, "number", images_of([[[None] * 28] * 28]), JSON
    yield "NaN", 400, "'N'", images_of([[[float("nan")] * 28] * 28]), JSON
    yield "Infinity", 400, "'I'", images_of([[[float("inf")] * 28] * 28]), JSON
    yield "1e999", 400, "inf", b'{"images":[[' + b"1e999," * 783 + b"0]]}", JSON
    yield "256", 400, "256", images_of([[256] * 784]), JSON
    yield "-1", 400, "-1", images_of([[-1] * 784]), JSON
    yield "01", 400, "byte", b'{"images":[[' + b"01," * 783 + b"0]]}", JSON
    yield "2 of 1", 400, "0 to 1", b'{"range":1,"images":[[' + b"2," * 783 + b"0]]}", JSON
    yield "range 7", 400, "7", b'{"range":7,"images":[[' + b"2," * 783 + b"0]]}", JSON
    yield "images twice", 400, "twice", b'{"images":[' + json.dumps(numbers).encode() + \
        b'],"images":[]}', JSON
    yield "no base64", 400, "base64", images_of(["*" * 40]), JSON
    yield "base64 of no PNG", 400, "picture 1", images_of(["aGVsbG8="]), JSON
    yield "250,000 brackets", 400, "byte", b'{"images":' + b"[" * 250000, JSON
    yield "250,000 brackets elsewhere", 400, "32 levels deep", b'{"x":' + b"[" * 250000, JSON
    yield "no boundary", 400, "boundary", image, "multipart/form-data"
    yield "no part", 400, "part", b"--x--\r\n", "multipart/form-data; boundary=x"
    yield "no end", 400, "end", b"--x\r\n\r\n" + image, "multipart/form-data; boundary=x"
    yield "bad part", 400, "part 1", b"--x\r\n\r\nabc\r\n--x--\r\n", \
        "multipart/form-data; boundary=x"


def test_bad(curl, images):
    expected = probabilities(curl.post(images[0], OCTETS))
    for name, status, words, body, kind in bad_bodies(images):
        got, kind_of_answer, answer = curl.post(body, kind)
        try:
            error = json.loads(answer)["error"]
        except (ValueError, KeyError, TypeError):
            error = "no error: %r" % answer[:200]
        check(got == status and words in error and kind_of_answer == JSON,
              "%s: %s %s" % (name, got, error))
    check(probabilities(curl.post(images[0], OCTETS)) == expected, "and it goes on answering")


def test_lanes(images):
    """The inline lane, the batch lane, one thread or three, alone or together: all give the same bits."""
    body = b"".join(images)
    answers = []
    for options in (("--inline-us=1000000",), ("--inline-us=0",), ("--inline-us=0", "--threads=3"),
                    ("--inline-us=0", "--batch-images=7", "--batch-delay-ms=1")):
        with tempfile.TemporaryDirectory() as folder, serving(*options) as server:
            curl = Curl(server, folder)
            answers.append(curl.post(body, OCTETS)[2])
            check(answers[0] == answers[-1], "the same bits with %s" % (options,))
            alone = [probabilities(curl.post(image, OCTETS))[0] for image in images[:5]]
            check(alone == [p["probabilities"] for p in json.loads(answers[0])["predictions"][:5]],
                  "alone as together with %s" % (options,))


def test_limits(images):
    with tempfile.TemporaryDirectory() as folder, serving(
            "--max-images=3", "--max-body=4K", "--max-picture=100") as server:
        curl = Curl(server, folder)
        check(curl.post(b"".join(images[:3]), OCTETS)[0] == 200, "as many images as may be")
        status, _, body = curl.post(b"".join(images[:4]), OCTETS)
        check(status == 413 and b"limit is 3" in body, "one image more: %s" % body)
        four = json.dumps({"images": [base64.b64encode(png(bytes(783) + b"\xff")).decode()] * 4})
        status, _, body = curl.post(four.encode(), JSON)
        check(status == 413 and b"more than 3 images" in body, "one picture more: %s" % body)
        check(curl.post(bytes(5000), OCTETS)[0] == 413, "a body over the limit")
        status, _, body = curl.post(png(bytes(401), 401), PNG)
        check(status == 413 and b"401" in body, "a picture over the limit: %s" % body)


def metric(text, name):
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name) and not line.startswith("#"))


def test_others(curl, images):
    for path in ("/v2/health/live", "/v2/health/ready"):
        check(curl(path=path)[0] == 200, path)
    before = curl(path="/metrics")[2].decode()
    curl.post(b"".join(images[:5]), OCTETS)
    curl.post(b"x", PNG)
    after = curl(path="/metrics")[2].decode()
    check(metric(after, "convnetd_images_total") - metric(before, "convnetd_images_total") == 5,
          "five images counted")
    check(metric(after, "convnetd_requests_total") - metric(before, "convnetd_requests_total") == 3,
          "three requests counted")


def main():
    if shutil.which("curl") is None or not os.path.exists(MODEL):
        print("curl or %s is missing" % MODEL)
        return 77
    images, labels = sample()
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        curl = Curl(server, folder)
        test_forms(curl, images, labels)
        test_pictures(curl, images, labels)
        test_formats_of_pictures(curl)
        test_preprocessing(curl, images)
        test_formats(curl, images)
        test_sets(curl, images, labels)
        test_bad(curl, images)
        test_others(curl, images)
    test_lanes(images)
    test_limits(images)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
