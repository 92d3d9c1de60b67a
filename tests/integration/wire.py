"""Pictures and requests of the inference protocols, for tests. Not a test by itself."""
import base64
import gzip
import json
import os
import struct
import zlib

from daemon import SOURCE, ask, check

SAMPLE = os.path.join(SOURCE, "tests", "data", "mnist-sample")


def sample(count=20):
    """Pixels and labels of the first images of MNIST's test set."""
    with gzip.open(os.path.join(SAMPLE, "t10k-images-idx3-ubyte.gz")) as file:
        pixels = file.read()[16:]
    with gzip.open(os.path.join(SAMPLE, "t10k-labels-idx1-ubyte.gz")) as file:
        labels = file.read()[8:]
    return [pixels[784 * i:784 * i + 784] for i in range(count)], list(labels[:count])


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_file(width, height, rows, depth=8, colour=0, between=b""):
    """A PNG of filtered rows; `between`: chunks before the data."""
    return (b"\x89PNG\r\n\x1a\n" +
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + between +
            png_chunk(b"IDAT", zlib.compress(rows, 9)) + png_chunk(b"IEND", b""))


def png(pixels, width=28):
    """A grey picture of 8 bits."""
    return png_file(width, len(pixels) // width,
                    b"".join(b"\0" + pixels[i:i + width] for i in range(0, len(pixels), width)))


def photograph(side=1500):
    """A dark stroke on uneven paper."""
    return png_file(side, side, b"".join(
        b"\0" + bytes(20 if side * 9 < 20 * x < side * 11 and y % side > side // 5 else
                      200 + (x * y >> 4) % 8 for x in range(side)) for y in range(side)))


def b64(data):
    return base64.b64encode(data).decode()


def rows(values, width=28):
    return [values[i:i + width] for i in range(0, len(values), width)]


def fractions(pixels):
    """Numbers that give exactly the floats of bytes divided by 255."""
    return [struct.unpack("f", struct.pack("f", p / 255))[0] for p in pixels]


def request(path, body=b"", extra=b"", method=b"POST"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (method + b" " + path.encode() + b" HTTP/1.1\r\nHost: a\r\n" + extra +
            b"Content-Length: %d\r\n\r\n" % len(body) + body)


def post_json(server, path, body, extra=b""):
    """(status, headers, the answer's JSON, or its bytes if it has none)."""
    status, headers, data = ask(server, request(path, body, extra))
    try:
        data = json.loads(data)
    except ValueError:
        pass
    return status, headers, data


def get_json(server, path):
    status, _, data = ask(server, request(path, method=b"GET"))
    return status, json.loads(data)


def refused(server, name, path, body, words, extra=b"", expected=400):
    """Checks that the request is refused with a message that contains the words."""
    status, _, answer = post_json(server, path, body, extra)
    text = answer.get("error", "") if isinstance(answer, dict) else ""
    check(status == expected and words in text and "\n" not in text,
          "%s: expected %d with %r: %s %s" % (name, expected, words, status, answer))
