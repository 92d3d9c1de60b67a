#!/usr/bin/env python3
"""`mpirun -n N convnet train`: any number of ranks gives the same bits; a killed rank loses nothing that a
checkpoint has, and another number of ranks continues from it; ranks with different settings are refused.
`mpirun -n N convnet predict`: one file in the order of the inputs, which keeps the results of ranks before one
died. Without mpirun, or in a build without MPI, only the refusal is tested (77)."""
import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

from daemon import CONVNET, check, finish
from gate import wait_until

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
PATIENCE = 240
ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_rmaps_base_oversubscribe="1", OMPI_MCA_plm="isolated",
                   OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_hwloc_base_binding_policy="none")


def write_data(folder):
    """An IDX pair of 220 pictures; the class is the position of the bright row."""
    images, labels, state = bytearray(), bytearray(), 1
    for _ in range(220):
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        label = state >> 62
        noise = hashlib.shake_128(state.to_bytes(8, "little")).digest(100)
        picture = bytearray(x // 3 for x in noise)
        picture[20 * label + 10:20 * label + 20] = bytes([250] * 10)
        images += picture
        labels.append(label)
    with open(os.path.join(folder, "train-images-idx3-ubyte"), "wb") as file:
        file.write(struct.pack(">IIII", 2051, 220, 10, 10) + images)
    with open(os.path.join(folder, "train-labels-idx1-ubyte"), "wb") as file:
        file.write(struct.pack(">II", 2049, 220) + labels)
    with open(os.path.join(folder, "net.json"), "w", encoding="ascii") as file:
        file.write('{"class_name": "Sequential", "config": {"name": "n", "layers": ['
                   '{"class_name": "InputLayer", "config": {"batch_shape": [null, 10, 10, 1]}},'
                   '{"class_name": "Conv2D", "config": {"name": "c", "filters": 6, "kernel_size": [3, 3]}},'
                   '{"class_name": "BatchNormalization", "config": {"name": "b"}},'
                   '{"class_name": "Flatten", "config": {"name": "f"}},'
                   '{"class_name": "Dropout", "config": {"name": "p", "rate": 0.3}},'
                   '{"class_name": "Dense", "config": {"name": "d", "units": 80, "activation": "relu"}},'
                   '{"class_name": "Dense", "config": {"name": "e", "units": 4, "activation": "softmax"}}]}}')


def command(folder, output, *more):
    return [CONVNET, "train", "--architecture", os.path.join(folder, "net.json"), "--data", folder,
            "--validation-split", "0.2", "--optimizer", "adam", "--batch-size", "40", "--loss",
            "categorical_crossentropy", "--augment", "shift=1", "--seed", "4", "--ema", "0.9",
            "--output", os.path.join(folder, output), *more]


def mpirun(ranks, line):
    return ["mpirun", "-n", str(ranks), *line]


def run(line):
    result = subprocess.run(line, env=ENVIRONMENT, capture_output=True, timeout=PATIENCE, check=False)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


def checksum(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def ranks_of(folder):
    """The processes that train in this folder, by rank."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open("/proc/%s/cmdline" % entry, "rb") as file:
                words = file.read().split(b"\0")
            with open("/proc/%s/environ" % entry, "rb") as file:
                variables = file.read().split(b"\0")
        except OSError:
            continue
        rank = [v for v in variables if v.startswith(b"OMPI_COMM_WORLD_RANK=")]
        if rank and words[0].endswith(b"convnet") and any(folder.encode() in w for w in words):
            found[int(rank[0].split(b"=")[1])] = int(entry)
    return found


def same_bits(folder):
    """Two epochs with one process, then one that 2 ranks begin and 8 ranks finish; 3 ranks do everything."""
    state = os.path.join(folder, "same.state")
    code, _, error = run(command(folder, "1", "--epochs", "2", "--threads", "1"))
    check(code == 0, "alone: %s" % error)
    expected = checksum(folder, "1")
    runs = ((2, 2, ["--epochs", "1", "--checkpoint", state]), (8, 1, ["--epochs", "2", "--resume", state]),
            (3, 1, ["--epochs", "2"]))
    for ranks, threads, more in runs:
        code, _, error = run(mpirun(ranks, command(folder, str(ranks), "--threads", str(threads), *more)))
        check(code == 0 and (ranks == 2 or checksum(folder, str(ranks)) == expected),
              "%d ranks: %d %s" % (ranks, code, error))
        check(error.count("/%s - " % more[1]) == 1 or ranks == 3, "one rank speaks: %s" % error)


def killed(folder):
    """Rank 1 of 2 is killed in the middle of an epoch; 4 ranks finish the training."""
    more = ["--epochs", "40", "--threads", "1", "--checkpoint", os.path.join(folder, "state"),
            "--history", os.path.join(folder, "history")]
    code, _, error = run(command(folder, "whole", *more[:4]))
    check(code == 0, error)
    with subprocess.Popen(mpirun(2, command(folder, "broken", *more)), env=ENVIRONMENT,
                          stderr=subprocess.PIPE) as process:
        wait_until(lambda: os.path.exists(os.path.join(folder, "state")) or
                   process.poll() is not None, "a checkpoint is written")
        ranks = ranks_of(folder)
        if 1 in ranks:
            os.kill(ranks[1], signal.SIGKILL)
        error = process.communicate(timeout=PATIENCE)[1].decode()
    check(1 in ranks and process.returncode != 0, "a lost rank ends the run: %d %s" %
          (process.returncode, error))
    check(not os.path.exists(os.path.join(folder, "broken")), "no model is written")
    code, _, error = run(mpirun(4, command(folder, "broken", *more, "--resume",
                                           os.path.join(folder, "state"))))
    check(code == 0 and checksum(folder, "broken") == checksum(folder, "whole"),
          "resumed: %d %s" % (code, error))


def differing(folder):
    """Two ranks with different seeds."""
    line = mpirun(1, command(folder, "x", "--epochs", "1")) + [":", "-n", "1"]
    code, _, error = run(line + command(folder, "x", "--epochs", "1", "--batch-size", "20"))
    check(code != 0 and "rank 1 has not" in error, "ranks that differ: %d %s" % (code, error))
    check(not os.path.exists(os.path.join(folder, "x")), "no model of ranks that differ")


# ---- convnet predict ----

def predict(folder, output, *more):
    """A folder with pictures and a file that is none, and an IDX file of 6,000."""
    return [CONVNET, "predict", "--threads", "1", "--output", os.path.join(folder, output), *more,
            os.path.join(folder, "mixed"), os.path.join(folder, "many"), os.path.join(folder, "none.png")]


def picture(number):
    """28 x 28: white strokes on black, different for each number."""
    noise = hashlib.shake_128(b"%d" % number).digest(4)
    pixels = bytearray(784)
    for row in range(6, 22):
        at = 28 * row + 6 + (noise[0] * row // 64 + noise[1]) % 14
        pixels[at:at + 3] = bytes((120 + noise[2] // 2, 255, 120 + noise[3] // 2))
    return bytes(pixels)


def write_pictures(folder):
    os.makedirs(os.path.join(folder, "mixed"))
    for i in range(150):
        name = 'a "quoted"\n%03d.pgm' % i if i % 50 == 0 else "%03d.pgm" % i
        with open(os.path.join(folder, "mixed", name), "wb") as file:
            file.write(b"P5 28 28 255\n" + picture(i) if i != 77 else b"P5 28 28 255\nshort")
    with open(os.path.join(folder, "many"), "wb") as file:
        file.write(struct.pack(">IIII", 2051, 6000, 28, 28))
        for i in range(6000):
            file.write(picture(i))


def content(folder, name):
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def parts(folder, name):
    return sorted(x for x in os.listdir(folder) if x.startswith(name + ".part"))


def predicted_together(folder):
    """One file in the order of the inputs, for any rank that classified them; errors as well."""
    for form in ("csv", "ndjson"):
        code, _, error = run(predict(folder, "alone." + form, "--format", form))
        check(code == 1 and error.count("convnet: predict:") == 2, "alone: %d %s" % (code, error))
        code, _, error = run(mpirun(3, predict(folder, "three." + form, "--format", form)))
        check(code == 1 and error.count("077.pgm") == 1, "each fault is said once: %s" % error)
        check(content(folder, "three." + form) == content(folder, "alone." + form), form)
        check(parts(folder, "three." + form) == [], "nothing is left beside the file")
    code, _, error = run(mpirun(2, [CONVNET, "predict", os.path.join(folder, "many")]))
    check(code != 0 and "--output" in error, "ranks need a file: %s" % error)
    code, _, error = run(mpirun(2, predict(folder, "x", "--format", "table")))
    check(code != 0 and "csv or ndjson, not a table" in error, "a table is for one: %s" % error)
    code, _, error = run(mpirun(2, predict(folder, "x", "--files-from", "-")))
    check(code != 0 and "standard input" in error, "standard input is not shared: %s" % error)


def kill_predicting(folder):
    """True if rank 1 of 3 was killed after its first rows and before the end."""
    part = os.path.join(folder, "cut.part.1")
    with subprocess.Popen(mpirun(3, predict(folder, "cut")), env=ENVIRONMENT,
                          stderr=subprocess.PIPE) as process:
        wait_until(lambda: process.poll() is not None or
                   (os.path.exists(part) and os.path.getsize(part) > 10000), "rank 1 has rows")
        ranks = ranks_of(folder)
        if 1 in ranks:
            os.kill(ranks[1], signal.SIGKILL)
        process.communicate(timeout=PATIENCE)
    return not os.path.exists(os.path.join(folder, "cut"))


def predicted_after_a_death(folder):
    for _ in range(5): # a fast machine may have finished before
        if kill_predicting(folder):
            break
        os.unlink(os.path.join(folder, "cut"))
    kept = sum(os.path.getsize(os.path.join(folder, x)) for x in parts(folder, "cut"))
    check(kept > 10000 and not os.path.exists(os.path.join(folder, "cut")), "rows are kept: %d" % kept)
    with open(os.path.join(folder, "head"), "wb") as file:
        file.write(content(folder, "cut.part.1").split(b"\n")[0] + b"\n")
    with open(os.path.join(folder, "cut.part.1"), "ab") as file:
        file.write(b'77 "cut')
    code, _, error = run(mpirun(2, predict(folder, "cut", "--resume", "--top", "1")))
    check(code != 0 and "another model, --format, --top" in error, "other rows: %s" % error)
    code, _, error = run(mpirun(2, predict(folder, "cut", "--resume")))
    check(content(folder, "cut") == content(folder, "alone.csv"), "2 ranks go on: %s" % error)
    check(parts(folder, "cut") == [], "nothing is left")


def predicted_behind_long_rows(folder):
    """A rank cuts the incomplete row of its part when no other rank reads it, which would end by SIGBUS."""
    for rank in range(2):
        with open(os.path.join(folder, "long.part.%d" % rank), "wb") as file:
            file.write(content(folder, "head") + b'77 "cut')
            file.truncate(64 << 20)
    code, _, error = run(mpirun(2, predict(folder, "long", "--resume")))
    check(parts(folder, "long") == [] and content(folder, "long") == content(folder, "alone.csv"),
          "behind long rows: %d %s" % (code, error[-400:]))


def predicted_alone_after_ranks(folder):
    """One process can also continue the work of ranks, if the inputs are the same."""
    part = os.path.join(folder, "left.part.2")
    expected = content(folder, "alone.csv").split(b"\n")
    row = expected[6004].split(b",")[0] + b",not scored again,,,,,,,,,,,,,"
    for number in (5999, 6000):
        with open(part, "wb") as file:
            file.write(content(folder, "head") + b"%d %s\n" % (number, row))
        code, _, error = run(predict(folder, "left", "--resume"))
        if number == 5999:
            check(code == 1 and "the inputs are no longer those of the parts" in error and os.path.exists(part),
                  "another input has this number: %d %s" % (code, error))
    found = content(folder, "left").split(b"\n")
    check(code == 1 and len(found) == len(expected) and
          sum(a != b for a, b in zip(found, expected)) == 1 and found[6004] == row,
          "one goes on alone: %d %s" % (code, error))


def enter_own_processes():
    """Runs the rest in a PID namespace if the system allows it: mpirun sends signals to the process ids of
    ranks that have ended, which processes of other tests may have by then."""
    line = ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if "OWN_PROCESSES" not in os.environ and shutil.which("unshare") and subprocess.run(
            [*line, "true"], capture_output=True, check=False).returncode == 0:
        os.environ["OWN_PROCESSES"] = "1"
        os.execvp(line[0], [*line, sys.executable, *sys.argv])


def main():
    linked = subprocess.run(["ldd", CONVNET], capture_output=True, check=False).stdout
    if b"libmpi" in linked:
        enter_own_processes()
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        if b"libmpi" not in linked:
            ENVIRONMENT["OMPI_COMM_WORLD_SIZE"] = "2"
            for line in (command(folder, "1", "--epochs", "1"), predict(folder, "x")):
                code, _, error = run(line)
                check(code == 1 and "no MPI" in error,
                      "a build without MPI says so: %d %s" % (code, error))
        elif shutil.which("mpirun"):
            write_pictures(folder)
            same_bits(folder)
            differing(folder)
            killed(folder)
            predicted_together(folder)
            predicted_after_a_death(folder)
            predicted_behind_long_rows(folder)
            predicted_alone_after_ranks(folder)
    status = finish()
    if status == 0 and (b"libmpi" not in linked or not shutil.which("mpirun")):
        print("mpirun is missing, or convnet was built without --with-mpi")
        return 77
    return status


if __name__ == "__main__":
    sys.exit(main())
