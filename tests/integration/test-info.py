#!/usr/bin/env python3
"""`convnet info`: its description of a model; `--plan`: the steps that `convnet bench --layers` measures, with
the cost of each; `convnet edit`: the changes are in the new file, and everything else is unchanged."""
import json
import os
import sys
import tempfile

from daemon import MODEL, SOURCE, check, convnet, finish
from layer_cases import write_case

PICTURE = os.path.join(SOURCE, "examples", "seven.png")


def info(*arguments):
    code, out, err = convnet("info", "--json", *arguments)
    check(code == 0, err)
    return json.loads(out) if code == 0 else {}


def test_plan():
    plan = info("--plan", MODEL)
    code, out, err = convnet("bench", "--layers", "--json", "--seconds=0.01", MODEL)
    check(code == 0, err)
    measured = json.loads(out)["steps"]
    steps = plan["steps"]
    check([(s["name"], s["type"], s["kernel"]) for s in steps] ==
          [(s["name"], s["type"], s["kernel"]) for s in measured], "other steps than bench's")
    check([(s["weight_bytes"], s["activation_bytes"]) for s in steps] ==
          [(s["weight_bytes"], s["activation_bytes"]) for s in measured], "other bytes than bench's")
    for step in steps:
        size = 4
        for dim in step["output_shape"]:
            size *= dim
        check(step["activation_bytes"] == size and step["input_bytes"] > 0, str(step))
        by_arithmetic = 1e-3 * step["flops"] / plan["peak_gflops"]
        moved = step["weight_bytes"] + step["input_bytes"] + step["activation_bytes"]
        by_memory = 1e-3 * moved / plan["gigabytes_per_second"]
        check(abs(step["microseconds"] - max(by_arithmetic, by_memory)) <=
              1e-6 * step["microseconds"], "not the roofline: %s" % step)
        check(step["bound"] == ("memory" if by_memory > by_arithmetic else "arithmetic"), str(step))
    total = sum(step["microseconds"] for step in steps)
    check(abs(total - plan["predicted_microseconds"]) <= 1e-6 * total, "the sum of the steps")
    check(sum(step["flops"] for step in steps) == 2 * info(MODEL)["multiply_accumulates"], "flops")
    check(plan["weight_bytes"] >= sum(s["weight_bytes"] for s in steps) and
          plan["worker_bytes"] > 0, "memory")
    code, out, err = convnet("info", "--plan", MODEL)
    check(code == 0 and all(step["name"] in out for step in steps) and
          "KiB for each worker" in out, out + err)


def test_said(folder):
    """Inputs, outputs and their kind, temperature, labels, signature."""
    kinds = {"softmax": ("Activation", 3), "number": ("Dense", 0), "map": ("Conv2D", 0)}
    models = {}
    for kind, (name, _) in kinds.items():
        models[kind] = os.path.join(folder, kind + ".safetensors")
        case = {"softmax": ([[6]], {"activation": "softmax"}, {}),
                "number": ([[6]], {"units": 1}, {"kernel": [6, 1], "bias": [1]}),
                "map": ([[5, 5, 1]], {"filters": 1, "kernel_size": 3},
                        {"kernel": [3, 3, 1, 1], "bias": [1]})}[kind]
        write_case(models[kind], name, case)
        said = info(models[kind])
        check([o["kind"] for o in said["outputs"]] == [kind], "%s: %s" % (kind, said["outputs"]))
        check(said["inputs"][0]["shape"] == [-1] + case[0][0], str(said["inputs"]))
        check(said["signature"] is None and said["temperature"] == 1, str(said))
        code, out, _ = convnet("info", models[kind])
        check(code == 0 and "Outputs" in out and "Signature             none" in out, out)
    said = info(MODEL)
    check(said["outputs"][0]["kind"] == "softmax" and len(said["labels"]) == 10, str(said))
    signed = os.path.join(folder, "signed.safetensors")
    check(convnet("edit", MODEL, "-o", signed)[0] == 0, "edit")
    check(convnet("keygen", os.path.join(folder, "me"))[0] == 0, "keygen")
    check(convnet("sign", "--key=" + os.path.join(folder, "me.key"), signed)[0] == 0, "sign")
    said = info(signed)["signature"]
    check(said is not None and said["of_this_file"] and len(said["key"]) == 64, str(said))
    os.rename(signed + ".sig", model_copy(folder) + ".sig")
    said = info(model_copy(folder))["signature"]
    check(said is not None and not said["of_this_file"], "a signature of another file")


def model_copy(folder):
    path = os.path.join(folder, "copy.safetensors")
    if not os.path.exists(path):
        check(convnet("edit", MODEL, "-o", path, "--temperature=1.5")[0] == 0, "edit")
    return path


def test_edit(folder):
    """Each change is found in the new file; the weights and all that was not changed stay the same."""
    path = os.path.join(folder, "edited.safetensors")
    labels = ["zero", "one", "two & a half", "drei", "quatre", "five", "six", "seven", "eight", "nue\u00e9"]
    listed = os.path.join(folder, "labels.txt")
    with open(listed, "w", encoding="utf-8") as file:
        file.write("\r\n".join(labels) + "\r\n")
    before = info(MODEL)
    steps = [(["--labels=" + listed], "labels", labels),
             (["--labels=a,b,c,d,e,f,g,h,i,j"], "labels", list("abcdefghij")),
             (["--temperature=2.25"], "temperature", 2.25),
             (["--preprocessing=fit=crop,channels=grey,scale=255,mean=0.5,std=0.25"], None, None)]
    source, expected = MODEL, dict(before)
    for options, key, value in steps:
        code, _, err = convnet("edit", source, "-o", path, *options)
        check(code == 0, err)
        said = info(path)
        if key is not None:
            expected[key] = value
        else:
            pre = said["preprocessing"]
            check((pre["fit"], pre["scale"], pre["mean"][0], pre["std"][0]) ==
                  ("crop", 255, 0.5, 0.25), str(pre))
            expected["preprocessing"] = pre
        for same in ("labels", "temperature", "preprocessing", "layers", "outputs", "training"):
            check(said[same] == expected[same], "%s: %s is %s" % (options, same, said[same]))
        source = path
    # Thresholds hold for one temperature: the same temperature keeps them, another one removes them.
    for temperature, kept in ((before["temperature"], True), (2.25, False)):
        convnet("edit", MODEL, "-o", path, "--temperature=%r" % temperature)
        code, _, err = convnet("predict", "--model", path, "--error=0.01", PICTURE)
        check((code == 0) == kept and ("has no thresholds" in err) != kept,
              "thresholds at temperature %g: %d %s" % (temperature, code, err))
    refusals = [(["--labels=a,b"], "10"), (["--temperature=0"], "0.01"),
                (["--preprocessing=fit=round"], "round"), (["--preprocessing=size"], "size"),
                (["--preprocessing=mean=x"], "x"), (["--answer=nobody"], "nobody"),
                (["--labels=" + os.path.join(folder, "nothing")], "nothing")]
    with open(path, "rb") as file:
        bytes_before = file.read()
    for options, word in refusals:
        code, out, err = convnet("edit", path, "-o", path, *options)
        sentence = err.strip().split("\n")[0]
        check(code in (1, 2) and word in sentence and out == "" and
              sentence.startswith("convnet"), "%s: %d %s" % (options, code, err))
    with open(path, "rb") as file:
        check(file.read() == bytes_before, "a refused edit changed the file")


with tempfile.TemporaryDirectory() as place:
    test_plan()
    test_said(place)
    test_edit(place)
sys.exit(finish())
