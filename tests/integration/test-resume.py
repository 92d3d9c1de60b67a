#!/usr/bin/env python3
"""`convnet predict --resume`: whatever stopped the run, and whatever became of the inputs since, the output is the
one of a run without interruption on the present inputs, and inputs that have a row are not scored again."""
import fcntl
import gzip
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time

from daemon import BUILD, SOURCE, check, finish
from gate import wait_until
from wire import png

CONVNET = os.path.realpath(os.path.join(BUILD, "convnet"))
FAILING = os.path.realpath(os.path.join(BUILD, "tests", "support", "malloc_fails.so"))
DIGITS = os.path.join(os.path.realpath(SOURCE), "tests", "data", "mnist-sample", "t10k-images-idx3-ubyte.gz")
KILLS = 20
FORMATS = ("csv", "ndjson")


def write_pictures():
    """600 pictures, some of them twice, some with odd names, and a file that is none."""
    with gzip.open(DIGITS) as file:
        digits = file.read()[16:]
    names = [b"%03d.png" % i for i in range(600)]
    names[100] = b'with, comma and "quotes".png'
    names[200] = b"two\nlines.png"
    names[300] = b"no \xff UTF-8.png"
    names[500] = "zw\u00f6lf.png".encode()
    for i, name in enumerate(names):
        with open(name, "wb") as file:
            file.write(png(digits[784 * (i % 200):][:784]))
    with open(names[400], "wb") as file:
        file.write(b"no picture")
    return names[:520] + names[:50] + names[520:] + [names[3], names[3]]


def arguments(names, form, *more):
    with open("names", "wb") as file:
        file.write(b"\0".join(names))
    return [CONVNET, "predict", "--threads=1", "--format=" + form, "--null", "--files-from=names", *more]


def predict(names, form, *more):
    """(exit status, output file, standard error)"""
    done = subprocess.run(arguments(names, form, "--output=out", *more), stderr=subprocess.PIPE,
                          timeout=120, check=False)
    return done.returncode, read("out"), done.stderr


def read(path):
    with open(path, "rb") as file:
        return file.read()


def expected(names, form, *more):
    """(exit status, rows) of a run without interruption"""
    done = subprocess.run(arguments(names, form, *more), capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout


def leave(content):
    """As a killed run leaves its rows."""
    if os.path.exists("out"):
        os.unlink("out")
    with open("out.part", "wb") as file:
        file.write(content)


def left():
    return [name for name in os.listdir(".") if name.startswith("out.")]


def test_kills(names):
    """SIGKILL at random moments until the run is done, again and again."""
    chance = random.Random(7)
    begin = time.monotonic()
    whole = {form: expected(names, form)[1] for form in FORMATS}
    seconds = (time.monotonic() - begin) / 2
    kills = runs = between = 0
    while kills < KILLS:
        form = FORMATS[runs % 2]
        runs += 1
        resume = []
        while True:
            with subprocess.Popen(arguments(names, form, "--output=out", *resume), stderr=subprocess.DEVNULL) as process:
                try:
                    process.wait(chance.uniform(0, seconds))
                except subprocess.TimeoutExpired:
                    process.kill()
            if process.returncode != -signal.SIGKILL:
                break
            kills += 1
            between += os.path.exists("out.part") and 0 < os.path.getsize("out.part") < len(whole[form])
            resume = ["--resume"]
        check(process.returncode == 1, "the file that is no picture is remembered: %d" % process.returncode)
        check(read("out") == whole[form], "%s after %d kills" % (form, kills))
        check(not left(), "%s left" % left())
        os.unlink("out")
    print("%d kills in %d runs, %d of them between the first row and the last" % (kills, runs, between))


def cuts(rows):
    """Ends of a run: within the header, behind it, within a row, behind one, and behind the last one."""
    lines = rows.split(b"\n")
    return [5, len(lines[0]) + 1, len(rows) // 3, len(b"\n".join(lines[:500])) + 1, len(rows)]


def test_inputs_change(names):
    """Between the runs inputs have gone, have come, have another name or another place."""
    gone = [name for i, name in enumerate(names) if i not in (0, 1, 7, 400, 550)]
    come = names[:5] + [b"none.png"] + names[5:] + [names[8]]
    renamed = [b"./" + name if i % 100 == 9 else name for i, name in enumerate(names)]
    turned = names[::-1]
    less = names[:20]
    for form in FORMATS:
        _, rows = expected(names, form)
        for what, now in (("the same", names), ("gone", gone), ("come", come), ("renamed", renamed),
                          ("turned", turned), ("less", less), ("none of them", [b"./001.png"])):
            status, whole = expected(now, form)
            for cut in cuts(rows):
                leave(rows[:cut])
                code, found, error = predict(now, form, "--resume")
                check(found == whole, "%s, %s, cut at %d: %s" % (form, what, cut, error[-200:]))
                check(code == status, "%s, %s, cut at %d: status %d" % (form, what, cut, code))
                check(not left(), "%s left" % left())


def test_not_scored_again(names):
    """A row that is there is kept as it is, in its place, even if the picture would now give another one."""
    rows = expected(names, "csv")[1].split(b"\n")
    for i in (3, 41, 60):
        rows[i] = rows[i].split(b",")[0] + b",kept%d,,,,,,,,,,,,,," % i
    leave(b"\n".join(rows[:80]) + b"\n")
    _, found, _ = predict(names[1:], "csv", "--resume")
    found = found.split(b"\n")
    check(found[0] == rows[0] and found[1:79] == rows[2:80], "rows that were there")
    check(len(found) == len(rows) - 1, "all others: %d rows" % len(found))


def test_another_run(names):
    """Rows of another kind are refused, and stay."""
    _, top = expected(names[:9], "csv", "--top=2")
    for content, form, more in ((top, "csv", ()), (top, "csv", ("--top=3",)), (b"a,b\n", "csv", ()),
                                (top, "ndjson", ()), (b'{"file":1}\n', "ndjson", ()),
                                (b"no comma\n", "csv", ("--no-header",))):
        leave(content)
        done = subprocess.run(arguments(names, form, "--output=out", "--resume", *more),
                              capture_output=True, timeout=120, check=False)
        check(done.returncode == 1 and b"out.part: " in done.stderr and
              b"remove the file to start again" in done.stderr and not os.path.exists("out"),
              "%s: %d %s" % (content[:20], done.returncode, done.stderr))
        check(read("out.part") == content, "the rows stay")
    os.unlink("out.part")
    os.mkdir("out.part")
    done = subprocess.run(arguments(names, "csv", "--output=out", "--resume"), capture_output=True,
                          timeout=120, check=False)
    check(done.returncode == 1 and b"out.part: cannot be written" in done.stderr, "a folder: %s" % done.stderr)
    os.rmdir("out.part")


def leave_shares(rows, count):
    """As `count` processes under mpirun leave rows: FILE.part.R has blocks of 64 in turn, with the inputs' numbers."""
    done = subprocess.run([CONVNET, "info", "--json", "digits"], capture_output=True, timeout=120, check=True)
    for rank in range(count):
        with open("out.part.%d" % rank, "wb") as file:
            file.write(b"convnet-rows/1 ndjson auto 0 0 %s\n" % json.loads(done.stdout)["sha256"].encode())
            file.writelines(b"%d %s" % (i, row) for i, row in rows if i // 64 % count == rank)


def test_shares(names):
    """One process continues what several have begun, with the same inputs only."""
    rows = list(enumerate(expected(names, "ndjson")[1].splitlines(keepends=True)))
    rows[70] = (70, rows[70][1].replace(b'"class":', b'"kept":1,"class":'))
    leave_shares(rows[:150] + rows[290:], 3)
    with open("out.part.0", "ab") as file:
        file.write(b"200 " + rows[200][1][:40])
    code, found, error = predict(names, "ndjson", "--resume")
    check(found == b"".join(row for _, row in rows), "the rows of three: %s" % error[-200:])
    check(code == 1 and b"400.png" not in error, "an error that is there is remembered: %d %s" % (code, error[-200:]))
    check(not left(), "%s left" % left())
    os.unlink("out")
    leave_shares(rows, 3)
    done = subprocess.run(arguments(names[:20], "ndjson", "--output=out", "--resume"), capture_output=True,
                          timeout=120, check=False)
    check(done.returncode == 1 and b"the parts hold %d rows for 20 inputs" % len(rows) in done.stderr and
          not os.path.exists("out"), "fewer inputs: %d %s" % (done.returncode, done.stderr[-200:]))
    check(len(left()) == 3, "the parts stay: %s" % left())
    for name in left():
        os.unlink(name)


def refused(names, words, *more):
    done = subprocess.run(arguments(names, "csv", "--output=out", *more), capture_output=True, timeout=120, check=False)
    check(done.returncode == 1 and words in done.stderr, "%s: %d %s" % (more, done.returncode, done.stderr))


def test_two_runs(names):
    """A run does not touch the rows that another one is writing."""
    with open("out.part", "wb") as file:
        file.write(b"rows")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        refused(names, b"another run is writing it")
        refused(names, b"another run is writing it", "--resume")
    check(read("out.part") == b"rows", "the rows stay")
    with open("out.part.0", "wb") as file: # as several processes under mpirun do
        fcntl.flock(file, fcntl.LOCK_EX)
        refused(names, b"out.part.0: another run is writing it")
        refused(names, b"out.part.0: another run is writing it", "--resume", "--format=ndjson")
    check(read("out.part") == b"rows" and left(), "the rows stay")
    check(predict(names[:9], "csv")[0] == 0 and not left(), "afterwards")


def test_other_options(names):
    """Rows with the same columns are told apart by an attribute of the file, where the file system has attributes."""
    names = names[:9]
    with open("probe", "wb") as file:
        try:
            os.setxattr(file.fileno(), "user.probe", b"1")
        except OSError:
            print("this file system keeps no attributes")
            return
    for before, after in ((("--preprocess=none",), ()), ((), ("--preprocess=none",)), ((), ("--error=0.01",)),
                          (("--resume",), ("--preprocess=none",))):
        with subprocess.Popen([CONVNET, "predict", "--output=out", *before, "-"], stdin=subprocess.PIPE) as process:
            wait_until(lambda: os.path.exists("out.part") and os.listxattr("out.part"), "the rows are begun")
            process.kill()
        refused(names, b"another model, --format, --top, --error or --preprocess", "--resume", *after)
        done = subprocess.run(arguments(names, "csv", "--output=out", "--resume", *before), timeout=120, check=False)
        check(done.returncode == 0 and not os.listxattr("out"), "the same options: %d" % done.returncode)


def test_full_disk(names):
    """The message names the file, not the standard output."""
    done = subprocess.run(arguments(names, "csv", "--output=out"), stderr=subprocess.PIPE, timeout=120, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    check(done.returncode == 1 and b"cannot write to out.part" in done.stderr, "%s" % done.stderr[-200:])
    os.unlink("out.part")


def test_large_part(names):
    """More than a gigabyte of rows; those of inputs that have gone have holes in place of bytes."""
    rows = expected(names, "csv")[1].split(b"\n", 2)
    with open("out.part", "wb") as file:
        file.write(rows[0] + b"\n")
        for i in range(5):
            file.write(b'gone-%d.png,"' % i)
            file.seek(230 << 20, os.SEEK_CUR)
            file.write(b'"\n')
        file.write(rows[1] + b"\ncut")
    check(os.path.getsize("out.part") > 1 << 30, "larger than a gigabyte")
    code, found, error = predict(names, "csv", "--resume")
    check(code == 1 and found == b"\n".join(rows), "a large part: %d %s" % (code, error))


def test_no_memory(names):
    """The k-th allocation fails: status 0 only with all rows, and never a row that is cut."""
    if os.environ.get("sanitizer", "no") != "no" or not os.path.exists(FAILING):
        return
    names = names[:7]
    lost = k = 0
    for form in FORMATS + ("table",):
        status, whole = expected(names, form)
        check(status == 0 and len(whole.splitlines()) >= 7, "all are pictures")
        k = 50 # before, libraries allocate in their constructors, and libpixman's does not survive a failure
        while True:
            with open("k", "w", encoding="ascii") as file:
                file.write("%d" % k)
            done = subprocess.run(arguments(names, form), env={**os.environ, "LD_PRELOAD": FAILING, "MALLOC_FAILS": "k"},
                                  capture_output=True, timeout=120, check=False)
            if os.path.exists("k.armed"): # there are fewer allocations
                break
            # LLVM's OpenMP ends the process itself when it has no memory for its threads.
            ended = done.returncode > 0 and done.stderr != b"" or done.stderr.startswith(b"OMP: Error") and done.stdout == b""
            check(done.returncode == 0 and done.stdout == whole or ended,
                  "%s, allocation %d: status %d, %d bytes, %s" %
                  (form, k, done.returncode, len(done.stdout), done.stderr[-200:]))
            lost += done.returncode > 0
            k += 1 + k // 10
        os.unlink("k.armed")
    check(lost > 9 and k > 100, "%d of %d allocations were missed" % (lost, k))


def main():
    with tempfile.TemporaryDirectory(prefix="convnet-resume.") as folder:
        home = os.getcwd()
        os.chdir(folder)
        try:
            names = write_pictures()
            test_kills(names)
            test_inputs_change(names)
            test_not_scored_again(names)
            test_another_run(names)
            test_shares(names)
            test_two_runs(names)
            test_other_options(names)
            test_full_disk(names)
            test_large_part(names)
            test_no_memory(names)
        finally:
            os.chdir(home)
    return finish()


if __name__ == "__main__":
    sys.exit(main())
