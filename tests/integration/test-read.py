#!/usr/bin/env python3
"""POST /read and `convnet read`: the same text in each form of answer; options that narrow a reading; each
invalid request gets its message."""
import json
import os
import subprocess
import sys

from daemon import BUILD, MODEL, SOURCE, ask, check, finish, post, serving

ROWS = os.path.join(SOURCE, "tests", "data", "rows.png")
LETTER = os.path.join(SOURCE, "tests", "data", "letter-k.png")
SEVEN = os.path.join(SOURCE, "tests", "data", "seven.png")


def read(server, body, query="", accept=None):
    extra = b"Accept: " + accept.encode() + b"\r\n" if accept else b""
    return ask(server, post(body, extra, ("/read" + query).encode()))


def refused(answer, status, words):
    check(answer[0] == status and words in json.loads(answer[2])["error"],
          "%d with %r: %s" % (status, words, answer))


def predicted(name):
    """The set of labels of a letter, by the model of that name."""
    result = subprocess.run([os.path.join(BUILD, "convnet"), "predict", "--model",
                             os.path.join(SOURCE, "models", name + ".safetensors"), "--error",
                             "0.01", "--format", "ndjson", LETTER],
                            capture_output=True, text=True, check=False, timeout=60)
    return json.loads(result.stdout)


def command(*arguments):
    return subprocess.run([os.path.join(BUILD, "convnet"), "read", "--model", MODEL, *arguments],
                          capture_output=True, text=True, check=False, timeout=60)


def test_forms(server, rows, texts):
    status, headers, body = read(server, rows)
    check(status == 200 and headers["content-type"] == "application/json", "JSON: %s" % status)
    answer = json.loads(body)
    check(answer["text"] == "\n".join(texts), "the text: %s" % answer["text"])
    check([line["text"] for line in answer["lines"]] == texts, "the lines")
    for line in answer["lines"]:
        check("".join(d["label"] for d in line["digits"]) == line["text"], "digits make the text")
        for digit in line["digits"]:
            check(abs(sum(digit["probabilities"]) - 1) < 1e-3, "probabilities: %s" % digit)
            x, y, width, height = digit["box"]
            check(0 <= x and x + width <= 420 and 0 <= y and y + height <= 200 and width > 0,
                  "a box outside the picture: %s" % digit["box"])
    plain = read(server, rows, accept="text/plain")[2].decode()
    check(plain == "".join(text + "\n" for text in texts), "plain: %r" % plain)
    csv = read(server, rows, accept="text/csv")[2].decode().split("\r\n")
    check(csv[0] == "text,confidence,x,y,width,height" and
          [row.split(",")[0] for row in csv[1:-1]] == texts, "CSV: %s" % csv)
    lines = read(server, rows, accept="application/x-ndjson")[2].decode().splitlines()
    check([json.loads(line)["text"] for line in lines] == texts, "NDJSON: %s" % lines)


def test_sets(server, rows, texts):
    lines = json.loads(read(server, rows, "?error=0.001")[2])["lines"]
    for line, text in zip(lines, texts):
        check(all(label in digit["labels"] and not digit["rejected"]
                  for label, digit in zip(text, line["digits"])), "sets of labels: %s" % line)


def test_narrowed(server, rows, texts):
    one = json.loads(read(server, rows, "?lines=1")[2])
    check([line["text"] for line in one["lines"]] == [texts[1]], "the larger line: %s" % one)
    four = json.loads(read(server, rows, "?length=4")[2])
    check(texts[0] in [line["text"] for line in four["lines"]] and
          all(len(line["digits"]) == 4 for line in four["lines"]), "length: %s" % four["text"])
    pattern = json.loads(read(server, rows, "?pattern=d-ddd")[2])
    check(texts[0][0] + "-" + texts[0][1:] in pattern["text"], "pattern: %s" % pattern["text"])


def test_refused(server, rows):
    refused(read(server, rows, "?length=0"), 400, "length")
    refused(read(server, rows, "?lines=many"), 400, "lines")
    refused(read(server, rows, "?separators=yes"), 400, "separators")
    refused(read(server, rows, "?error=2"), 400, "error")
    refused(read(server, rows, "?pattern=abc"), 400, "no d")
    refused(read(server, rows, "?pattern=dd&length=2"), 400, "pattern")
    refused(read(server, b""), 400, "empty")
    refused(read(server, b"no picture at all"), 415, "not a picture")
    refused(read(server, rows[:1000]), 400, "PNG")
    refused(ask(server, post(rows, b"", b"/read/none")), 404, "none")


def main():
    if not os.path.exists(MODEL):
        print("%s is missing" % MODEL)
        return 77
    with open(ROWS, "rb") as file:
        rows = file.read()
    with open(SEVEN, "rb") as file:
        seven = file.read()
    result = command(ROWS)
    texts = result.stdout.splitlines()
    check(texts == ["7210", "495906"], "convnet read: %s %s" % (texts, result.stderr))
    bad = command(ROWS, os.path.join(SOURCE, "README.md"), SEVEN)
    check(bad.returncode == 1 and "README.md" in bad.stderr and
          bad.stdout.splitlines() == texts + ["7"], "a bad file stops nothing: %s" % bad)
    check(command("--pattern", "x", ROWS).returncode == 2, "a pattern without digits")
    line = os.path.join(SOURCE, "models", "digits-line.safetensors")
    check(command("--model", line, ROWS).stdout.splitlines() == texts, "digits-line reads rows")
    letter = predicted("digits-line")
    check(letter["rejected"] and not predicted("digits")["rejected"],
          "digits-line rejects a letter that digits does not: %s" % letter)
    with serving() as server:
        test_forms(server, rows, texts)
        test_sets(server, rows, texts)
        test_narrowed(server, rows, texts)
        test_refused(server, rows)
        check(json.loads(read(server, seven)[2])["text"] == "7", "a single digit is a row of one")
    return finish()


if __name__ == "__main__":
    sys.exit(main())
