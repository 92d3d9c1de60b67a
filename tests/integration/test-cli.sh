#!/bin/bash
# Tests the command `convnet` end to end on a small sample of MNIST: training, resuming, evaluating,
# predicting, and its messages about mistakes. Needs python3 (exit 77 without).
set -u
top_srcdir=$(realpath "${top_srcdir:-$(dirname "$0")/../..}")
top_builddir=$(realpath "${top_builddir:-$top_srcdir/build}")
convnet=$top_builddir/convnet
sample=$top_srcdir/tests/data/mnist-sample
seed=$top_srcdir/models/seed.json
command -v python3 >/dev/null || { echo "python3 is missing"; exit 77; }
[ -x "$convnet" ] || { echo "$convnet is missing"; exit 1; }

work=$(mktemp -d "${TMPDIR:-/tmp}/convnet-cli.XXXXXX") || exit 1
trainer=
finish() {
    [ -z "$trainer" ] || kill -KILL "$trainer" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
cd "$work" || exit 1

checks=0 failures=0
# check NAME COMMAND...: COMMAND must succeed.
check() {
    local name=$1
    shift
    checks=$((checks + 1))
    if ! "$@"; then
        failures=$((failures + 1))
        echo "FAIL: $name"
        [ ! -s err ] || sed 's/^/    /' err
    fi
}
# run STATUS ARGUMENT...: runs convnet with its output in the files out and err; the exit status
# must be STATUS.
run() {
    local expected=$1 status=0
    shift
    "$convnet" "$@" >out 2>err </dev/null || status=$?
    [ "$status" -eq "$expected" ] || { echo "    exit status $status instead of $expected: $*"; return 1; }
}
says() { grep -qF -- "$1" err || { echo "    stderr lacks: $1"; return 1; }; }
# python EXPRESSION: true for the JSON in the file out, as `j`.
python() { python3 -c 'import json, math, sys; j = json.load(open("out")); sys.exit(not ('"$1"'))'; }
train() { run 0 train --architecture "$seed" --data "$sample" --seed 3 --learning-rate 0.1 "$@"; }

# ---- Training: the same bits for any number of threads; progress and history ----
check "train, one thread" train --epochs 2 --threads 1 --output one.safetensors --history h.csv \
    --validation-split 0.25
check "one line per epoch in a pipe" test "$(grep -c '^Epoch [12]/2 - .* - val_accuracy: ' err)" = 2
check "nothing on stdout" test ! -s out
check "train, two threads" train --epochs 2 --threads 2 --output two.safetensors --quiet \
    --validation-split 0.25
check "quiet" test ! -s err
check "threads change no bit" cmp one.safetensors two.safetensors
check "history's header" \
    test "$(head -1 h.csv)" = "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds"
check "history's rows" test "$(grep -cE '^[12],0\.[0-9]+,0(\.[0-9]+)?,0\.[0-9]+,0(\.[0-9]+)?,0\.1[0-9]*,[0-9.]+$' h.csv)" = 2
check "train without validation" train --epochs 2 --output model.safetensors --history h.csv
check "empty validation columns" grep -qE '^1,[0-9.]+,[0-9.]+,,,' h.csv
check "another seed gives another model" train --epochs 2 --output other.safetensors --seed 4
check "models differ" test "$(cmp model.safetensors other.safetensors | wc -l)" = 1
check "train with everything" train --epochs 1 --output all.safetensors --optimizer adamw \
    --weight-decay 0.01 --ema 0.9 --schedule one-cycle --loss categorical_crossentropy \
    --label-smoothing 0.1 --augment shift=2,rotation=10,scale=0.1,shear=0.1 --batch-size 64

# ---- Extra data: used in training, not in validation ----
mkdir -p extra/7 extra/8 strange/7 strange/x
cp "$top_srcdir/tests/data/seven.png" extra/7/a.png
for folder in extra/8 strange/7 strange/x; do cp extra/7/a.png "$folder/a.png"; done
check "train with more" train --epochs 1 --output more.safetensors --validation-split 0.25 \
    --extra-data extra --quiet
check "info about it" run 0 info more.safetensors
check "counts them" grep -qF '"samples":302,"validation_samples":100' out
check "says how they were parted" grep -qF '"validation_split":{"share":0.25,"order":"by-class","seed":"0"}' out
check "a class of no use" run 1 train --architecture "$seed" --data "$sample" --output x \
    --extra-data strange
check "is named" says 'class "x"'
check "other data are named" run 1 train --architecture "$seed" --data "$sample" --output x \
    --extra-data nowhere
check "as missing" says "nowhere: cannot open the folder"
if python3 -c 'import cairo' 2>/dev/null; then
    check "draw digits" python3 "$top_srcdir/scripts/render-strokes" --each 2 drawn >out 2>err
    check "the same again" python3 "$top_srcdir/scripts/render-strokes" --each 2 again >out 2>err
    check "same seed, same files" diff -r drawn again
    check "other seed" python3 "$top_srcdir/scripts/render-strokes" --each 2 --seed 2 again >out 2>err
    check "other files" test -n "$(diff -rq drawn again)"
    check "train with drawn ones" train --epochs 1 --output more.safetensors --extra-data drawn
fi

# ---- Continuing from a model ----
further() { run "$1" train --data "$sample" --seed 3 --learning-rate 0.1 --output on.safetensors "${@:2}"; }
check "train one that goes on" train --epochs 8 --output begun.safetensors --history h.csv
check "go on from it" further 0 --weights begun.safetensors --epochs 1 --history on.csv
first_loss() { sed -n 2p "$1" | cut -d, -f2; }
check "where it was" awk "BEGIN { exit !($(first_loss on.csv) < $(first_loss h.csv)) }"
check "info about that" run 0 info on.safetensors
check "names the model it began with" \
    grep -q "weights *\"$(sha256sum begun.safetensors | cut -d' ' -f1)\"" out
check "a rate of nothing" further 0 --weights begun.safetensors --epochs 1 --learning-rate 1e-9
for model in begun on; do
    check "evaluate $model" run 0 evaluate --model $model.safetensors --data "$sample"
    grep -v '^time' out >$model.txt
done
check "changes nothing" cmp begun.txt on.txt
check "neither architecture nor weights" further 2
check "says that" says "give either --architecture"
check "both" further 2 --architecture "$seed" --weights begun.safetensors
check "says only one" says "give either --architecture"
check "data of other classes" run 1 train --data extra --weights begun.safetensors --output x
check "names the model" says "has 2 classes, but model begun.safetensors has 10 outputs"

# ---- Keras's losses, optimizers and callbacks; logits; a new head ----
python3 - "$seed" <<'END' || { echo "cannot make the architectures"; exit 1; }
import json, sys
network = json.load(open(sys.argv[1]))
for layer in network["config"]["layers"]:
    if layer["class_name"] == "Conv2D":
        layer["config"]["trainable"] = False
json.dump(network, open("frozen.json", "w"))
for name, activation in ("logits", "linear"), ("sigmoid", "sigmoid"), ("relu", "relu"):
    network = json.load(open(sys.argv[1]))
    network["config"]["layers"][-1]["config"]["activation"] = activation
    json.dump(network, open(name + ".json", "w"))
END
keras() { run "$1" train --data "$sample" --seed 3 --epochs 1 --output keras.safetensors "${@:2}"; }
for loss in mse MeanSquaredError SparseCategoricalCrossentropy kl_divergence Huber categorical_focal_crossentropy; do
    check "loss $loss" keras 0 --architecture "$seed" --loss $loss --quiet
done
for optimizer in SGD Adam AdamW RMSprop Adagrad Adadelta Adamax Nadam Lion; do
    check "optimizer $optimizer" keras 0 --architecture "$seed" --optimizer $optimizer --quiet
done
check "adam's rate" keras 0 --architecture "$seed" --optimizer adam --weight-decay 0.01
check "its record" run 0 info keras.safetensors --json
check "is Keras's" python 'j["training"]["learning_rate"] == 0.001 and
    j["training"]["optimizer"]["weight_decay"] == 0.01'
check "adamw's decay" keras 0 --architecture "$seed" --optimizer adamw
check "its record too" run 0 info keras.safetensors --json
check "is Keras's too" python 'j["training"]["optimizer"]["weight_decay"] == 0.004'
check "adam has no momentum" keras 2 --architecture "$seed" --optimizer adam --momentum 0.9
check "says what it has" says "adam has no momentum; it has learning-rate, beta-1"
check "logits" keras 0 --architecture logits.json --loss categorical_crossentropy
check "get a softmax" says "ends in logits, so a softmax was added"
check "in the model too" run 0 info keras.safetensors --json
check "last" python 'j["layers"][-1]["type"] == "Activation"'
check "sigmoids" keras 0 --architecture sigmoid.json --loss binary_crossentropy
check "with the wrong loss" keras 1 --architecture sigmoid.json --loss categorical_crossentropy
check "are told the right one" says "binary_crossentropy goes with that"
check "relu" keras 1 --architecture relu.json --loss categorical_crossentropy
check "is refused before the first step" test "$(grep -c Epoch err)" = 0
check "callbacks" keras 0 --architecture "$seed" --epochs 9 --learning-rate 0.0000001 \
    --validation-split 0.25 --early-stopping 1 --min-delta 0.5 --reduce-on-plateau 1
check "stop early" says "Stopped early: no epoch since epoch 1 was better"
check "keep the best" says "the weights of epoch 1 of 2"
check "say how good it is" says "pictures kept for validation"
check "and what to do next" says "Next: convnet evaluate --model keras.safetensors --data"
check "class weights" keras 0 --architecture "$seed" --class-weight 3=2,7=0.5
check "balanced" keras 0 --architecture "$seed" --class-weight balanced
check "of no class" keras 1 --architecture "$seed" --class-weight x=2
check "named" says "'x', which is not a class"
check "a new head" run 0 train --data extra --weights begun.safetensors --new-head --epochs 1 \
    --freeze 'conv*' --output head.safetensors --learning-rate 0.1
check "info of it" run 0 info head.safetensors --json
check "has the new classes" python 'j["labels"] == ["7", "8"] and j["training"]["freeze"] == "conv*"'
check "the frozen layers have not moved" python3 -c 'import json, struct
def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    return {k: data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]]
            for k, v in json.loads(data[8:8 + size]).items() if k != "__metadata__"}
a, b = tensors("begun.safetensors"), tensors("head.safetensors")
names = [k for k in a if k.startswith("conv")]
assert names and all(a[k] == b[k] for k in names) and a.keys() == b.keys()'
for epochs in 1 3; do
    check "trainable: false" keras 0 --architecture frozen.json --epochs $epochs --optimizer adamw \
        --output frozen$epochs.safetensors --quiet
done
check "is heeded" python3 -c 'import json, struct
def tensors(path):
    data = open(path, "rb").read()
    size = struct.unpack("<Q", data[:8])[0]
    return {k: data[8 + size + v["data_offsets"][0]:8 + size + v["data_offsets"][1]]
            for k, v in json.loads(data[8:8 + size]).items() if k != "__metadata__"}
a, b = tensors("frozen1.safetensors"), tensors("frozen3.safetensors")
assert all((a[k] == b[k]) == k.startswith("conv") for k in a), [k for k in a if a[k] == b[k]]'
check "a pattern of no layer" run 1 train --data "$sample" --weights begun.safetensors --freeze 'x*' \
    --epochs 1 --output x.safetensors
check "lists those there are" says "those with weights are"

# ---- A teacher ----
check "taught" further 0 --architecture "$seed" --epochs 1 --teacher begun.safetensors \
    --teacher-share 0.25
check "info about the pupil" run 0 info on.safetensors
taught_by="{\"sha256\":\"$(sha256sum begun.safetensors | cut -d' ' -f1)\",\"share\":0.25}"
check "names its teacher" grep -q "teacher *$taught_by" out
check "no teacher" further 1 --architecture "$seed" --teacher nobody.safetensors
check "is named" says "nobody.safetensors: cannot open"
check "a share of nothing" further 2 --architecture "$seed" --teacher x --teacher-share 0
check "the rule" says "teacher-share"
check "a share without a teacher" further 2 --architecture "$seed" --teacher-share 0.3
check "says what is missing" says "needs --teacher"

# ---- Validation: the same share of each class; separate folders ----
python3 - <<'END' || { echo "cannot make the folders"; exit 1; }
import os, struct, zlib
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
def picture(path, left):
    rows = b"".join(b"\0" + bytes(255 if 5 < y < 22 and left < x < left + 4 else 0 for x in range(28))
                    for y in range(28))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
for label in range(10):
    for i in range(4):
        picture("flat/%d/%d.png" % (label, i), 2 * label + 1)
        picture("parts/train/%d/%d.png" % (label, i), 2 * label + 1)
    picture("parts/val/%d/x.png" % label, 2 * label + 1)
END
check "a sorted folder is split by class" train --data flat --epochs 1 --output flat.safetensors \
    --validation-split 0.25
check "says so" says "Validation: 10 of the pictures, the same share of each class"
check "and how to measure it" says "--data flat --split validation"
check "calibrate on what was kept" run 0 calibrate --model flat.safetensors --data flat \
    --validation-split 0.25 --output flat.safetensors --json
check "the split has ten samples" python 'j["samples"] == 10'
check "without a warning" test ! -s err
check "calibrate on all" run 0 calibrate --model flat.safetensors --data flat \
    --output all.safetensors
check "says what it learned from" says "calibrate: flat: the model was trained on 30 of these 40 pictures"
check "says what to do" says "--validation-split 0.25 takes only the others"
check "evaluate on all" run 0 evaluate --model flat.safetensors --data flat
check "says what it learned from, too" says "evaluate: flat: the model was trained on 30 of these 40 pictures"
check "evaluate on what was kept" run 0 evaluate --model flat.safetensors --data flat \
    --split validation --json
check "which are the others" python 'j["samples"] == 10'
check "without a word" test ! -s err
check "more pictures" train --data flat --epochs 1 --output kept.safetensors --validation-split 0.25 \
    --extra-data parts
check "do not hide the others" run 0 evaluate --model kept.safetensors --data flat
check "that were learned from" says "the model was trained on 30 of these 40 pictures"
check "calibrate on other data" run 1 calibrate --model flat.safetensors --data "$sample" \
    --validation-split 0.25 --output x
check "says that they are others" says "these are other data"
check "the last ones, as Keras" train --data flat --epochs 1 --output x.safetensors \
    --validation-split 0.25 --validation-order tail
check "says it" says "the last ones"
check "a validation folder" train --data parts --epochs 1 --output x.safetensors
check "is found" says "Validation: 10 pictures from its validation folder"
check "validation data" train --epochs 1 --output x.safetensors --validation-data parts
check "are named" says "Validation: 10 pictures from parts"
check "no test folder" run 0 evaluate --model x.safetensors --data flat
check "is said" says "evaluate: flat: the folder has no test split"
check "training data" run 0 evaluate --model on.safetensors --data "$sample" --split train
check "are known" says "the model was trained on these pictures"

# ---- Interrupted and resumed: the same bits as without interruption ----
mkfifo progress
"$convnet" train --architecture "$seed" --data "$sample" --seed 3 --epochs 1000000 \
    --output stopped.safetensors --checkpoint stopped.checkpoint --history h.csv 2>progress \
    </dev/null &
trainer=$!
exec 3<progress
line=
until [[ $line == Epoch* ]]; do read -r line <&3 || break; done # the first epoch is over
kill -INT "$trainer"
cat <&3 >err
exec 3<&-
wait "$trainer"
status=$?
trainer=
check "exit status after Ctrl-C" test "$status" = 130
check "says how to go on" says "--resume stopped.checkpoint"
check "no model is written" test ! -e stopped.safetensors
epochs=$(($(wc -l <h.csv) + 1)) # two more than the finished ones
learn=(train --architecture "$seed" --data "$sample" --seed 3 --epochs "$epochs")
check "resume" run 0 "${learn[@]}" --resume stopped.checkpoint --output resumed.safetensors \
    --history h.csv --threads 2
check "history has the epochs before" test "$(cut -d, -f1 h.csv | tail -n +2 | tr '\n' ' ')" = \
    "$(seq -s ' ' 1 "$epochs") "
check "unbroken" run 0 "${learn[@]}" --output unbroken.safetensors --threads 1
check "resumed = unbroken" cmp resumed.safetensors unbroken.safetensors
check "resume with another rate" run 1 "${learn[@]}" --resume stopped.checkpoint --output x \
    --learning-rate 0.5
check "names the option" grep -qE 'learning.rate' err
head -c $(($(wc -c <stopped.checkpoint) / 2)) stopped.checkpoint >cut.checkpoint
check "resume from a cut file" run 1 "${learn[@]}" --resume cut.checkpoint --output x
check "no model of a failed training" test ! -e x

# ---- Evaluation ----
check "evaluate --json" run 0 evaluate --model model.safetensors --data "$sample" --json \
    --confusion-matrix
check "evaluation's numbers" python 'j["samples"] == 200 and j["correct"] == round(200 *
    j["accuracy"]) and 0 < j["loss"] < 1 and j["loss_function"] == "mean_squared_error" and
    j["accuracy_interval"][0] < j["accuracy"] < j["accuracy_interval"][1]'
check "evaluation's classes" python '[c["label"] for c in j["per_class"]] == list("0123456789") and
    [sum(r) for r in j["confusion_matrix"]] == [c["samples"] for c in j["per_class"]] and
    sum(r[i] for i, r in enumerate(j["confusion_matrix"])) == j["correct"] and
    all(c["recall"] is None or abs(c["recall"] * c["samples"] - j["confusion_matrix"][i][i]) < 1e-6
        for i, c in enumerate(j["per_class"]))'
check "the means over the classes" python3 -c 'import json
j = json.load(open("out"))
m, n = j["confusion_matrix"], range(10)
true, said = [sum(r) for r in m], [sum(r[i] for r in m) for i in n]
f1 = [2 * m[i][i] / max(1, true[i] + said[i]) for i in n]
assert abs(j["macro_f1"] - sum(f1) / 10) < 1e-9
assert abs(j["weighted_f1"] - sum(f * t for f, t in zip(f1, true)) / 200) < 1e-9
assert abs(j["macro_recall"] - sum(m[i][i] / true[i] for i in n) / 10) < 1e-9
assert all(abs(c["f1"] - f) < 1e-9 for c, f in zip(j["per_class"], f1))
assert j["accuracy"] < j["top_5_accuracy"] <= 1'
cp out evaluation
check "evaluate the training data" run 0 evaluate --model model.safetensors --data "$sample" \
    --split train --json
check "training samples" python 'j["samples"] == 400'
check "evaluate as text" run 0 evaluate --model model.safetensors --data "$sample" \
    --confusion-matrix
check "text names the interval" grep -q '^accuracy .* of 200; 95 % interval' out

# ---- Calibration, outliers, the drawn report ----
check "calibrate" run 0 calibrate --model model.safetensors --data "$sample" --output true.safetensors \
    --split test --json
check "its numbers" python '0.1 <= j["temperature"] <= 10 and j["samples"] == 200 and
    j["loss"] < j["loss_before"] and 0 <= j["calibration_error"] <= 1'
cp out calibration
check "the calibrated model" run 0 evaluate --model true.safetensors --data "$sample" --json \
    --loss categorical_crossentropy --outliers "$sample"
check "has that temperature and loss" python 'abs(j["loss"] - json.load(open("calibration"))["loss"])
    < 1e-6 and j["temperature"] == json.load(open("calibration"))["temperature"]'
check "and the same answers" python 'j["correct"] == json.load(open("evaluation"))["correct"]'
check "its bins are its samples" python 'sum(b["samples"] for b in j["reliability"]) == 200 and
    abs(sum(abs(b["accuracy"] - b["confidence"]) * b["samples"] for b in j["reliability"]
            if b["samples"]) / 200 - j["calibration_error"]) < 1e-9'
check "data are no outliers of themselves" python 'j["outliers"]["auroc"] == 0.5 and
    j["outliers"]["samples"] == 200'
check "and sets of labels" run 0 predict --model true.safetensors --error 0.05 --format ndjson \
    "$sample/t10k-images-idx3-ubyte.gz"
sed -i 1q out
check "with one, several or none" python 'isinstance(j["labels"], list) and
    j["rejected"] == (len(j["labels"]) == 0)'
check "no error is none" run 1 predict --model model.safetensors --error 0.05 \
    "$sample/t10k-images-idx3-ubyte.gz"
check "calibrating the last tenth" run 0 calibrate --model model.safetensors --data "$sample" \
    --output true.safetensors --validation-split 0.1 --json
check "is of its samples" python 'j["samples"] == 40'
if run 0 evaluate --model true.safetensors --data "$sample" --report report.svg --history h.csv; then
    check "the report is SVG" grep -q '<svg' report.svg
    check "report as PNG" run 0 evaluate --model true.safetensors --data "$sample" --report report.png
    check "the report is PNG" grep -q PNG report.png
    check "a report of training data" run 0 report --model on.safetensors --data "$sample" --split train \
        --output report.svg
    check "the warning names the command" says "convnet: report: $sample: the model was trained on these"
    check "another ending" run 1 evaluate --model true.safetensors --data "$sample" --report r.pdf
    check "is refused" says "must end with .svg or .png"
    echo "1,2,3" >bad.csv
    check "a bad history" run 1 evaluate --model true.safetensors --data "$sample" --report r.svg \
        --history bad.csv
    check "is refused with its line" says "is not a history"
else
    check "without cairo there is no report" says "built without cairo"
fi

# ---- Prediction: PNG, IDX and raw bytes give the same bits ----
python3 - "$sample" <<'END' || { echo "cannot make the pictures"; exit 1; }
import gzip, os, struct, sys, zlib
with gzip.open(sys.argv[1] + "/t10k-images-idx3-ubyte.gz") as f:
    pixels = f.read()[16:]
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
os.makedirs("pictures/more")
with open("raw", "wb") as raw:
    for i in range(20):
        image = pixels[784 * i:784 * i + 784]
        raw.write(image)
        rows = b"".join(b"\0" + image[28 * y:28 * y + 28] for y in range(28))
        name = 'more/with, "quotes".png' if i == 19 else "%02d.png" % i
        with open("pictures/" + name, "wb") as f:
            f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 28, 28, 8, 0, 0, 0, 0))
                    + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
END
predict=(predict --model model.safetensors)
check "predict a folder" run 0 "${predict[@]}" pictures
cp out folder.csv
# The answers in a CSV file, without the file names.
answers() { python3 -c 'import csv, sys
for row in list(csv.DictReader(open(sys.argv[1], newline="")))[:int(sys.argv[2])]:
    del row["file"]; print(row)' "$1" "$2"; }
check "CSV" python3 -c 'import csv
rows = list(csv.DictReader(open("folder.csv", newline="")))
assert [r["file"] for r in rows] == ["pictures/%02d.png" % i for i in range(19)] + ["pictures/more/with, \"quotes\".png"]
for r in rows:
    p = [float(r["p_%d" % i]) for i in range(10)]
    assert abs(sum(p) - 1) < 1e-6 and p.index(max(p)) == int(r["class"]) == int(r["label"])
    assert float(r["confidence"]) == max(p)'
deep=deep$(printf '/d%.0s' {1..34})
mkdir -p "$deep"
cp pictures/00.png deep/d/
cp pictures/01.png "$deep/"
check "a folder that is too deep has its own error" run 1 "${predict[@]}" deep
check "it is named" grep -q 'deep/d/d.*: lies more than 32 folders deep' err
check "what is above it is predicted" grep -q '^deep/d/00.png,' out
check "predict an IDX file" run 0 "${predict[@]}" "$sample/t10k-images-idx3-ubyte.gz" --threads 2
cp out idx.csv
check "one row per image" test "$(wc -l <idx.csv)" = 201
check "predict raw bytes" test "$("$convnet" "${predict[@]}" --raw - <raw 2>err | tee raw.csv | wc -l)" = 21
"$convnet" "${predict[@]}" - <raw >out 2>err
check "raw bytes are never taken for images by their length" test "$?" = 1
check "says which option takes them" says "need --raw"
check "IDX = PNG" cmp <(answers folder.csv 20) <(answers idx.csv 20)
check "raw = PNG" cmp <(answers folder.csv 20) <(answers raw.csv 20)
check "a PNG on stdin" cmp <("$convnet" "${predict[@]}" - <pictures/03.png | tail -1 | cut -d, -f2-) \
    <(sed -n 5p folder.csv | cut -d, -f2-)
check "evaluation agrees" python3 -c 'import csv, gzip, json, sys
labels = gzip.open(sys.argv[1]).read()[8:]
rows = list(csv.DictReader(open("idx.csv", newline="")))
j = json.load(open("evaluation"))
assert sum(int(r["class"]) == l for r, l in zip(rows, labels)) == j["correct"]
p = [[float(r["p_%d" % c]) for c in range(10)] for r in rows]
assert sum(sorted(q)[-5] <= q[l] for q, l in zip(p, labels)) == round(200 * j["top_5_accuracy"])
def auc(c):
    own = [q[c] for q, l in zip(p, labels) if l == c]
    rest = [q[c] for q, l in zip(p, labels) if l != c]
    return sum((a > b) + 0.5 * (a == b) for a in own for b in rest) / len(own) / len(rest)
assert abs(sum(map(auc, range(10))) / 10 - j["auc"]) < 1e-6' \
    "$sample/t10k-labels-idx1-ubyte.gz"
printf 'no picture' >pictures/bad.png
head -c 100 pictures/01.png >pictures/cut.png
check "bad files do not stop the rest" run 1 "${predict[@]}" --format ndjson pictures pictures/00.png
check "the rest is scored" test "$(grep -vc '"error"' out)" = 21
check "and each bad one has its row" test "$(grep -c '^{"file":"pictures/\(bad\|cut\).png","error":"[^"]' out)" = 2
check "each bad file has its message" test "$(grep -c '^convnet: predict: pictures/\(bad\|cut\).png: ' err)" = 2
check "NDJSON = CSV" python3 -c 'import csv, json
rows = list(csv.DictReader(open("folder.csv", newline="")))
for line, r in zip([x for x in open("out") if "error" not in x], rows + rows[:1]):
    j = json.loads(line)
    assert j["file"] == r["file"] and j["class"] == int(r["class"]) and j["label"] == r["label"]
    assert j["probabilities"] == [float(r["p_%d" % i]) for i in range(10)]'
printf '%s\n' pictures/00.png pictures/bad.png pictures/01.png >list
check "files from a list" run 1 "${predict[@]}" --format table --files-from list
check "a row per picture" test "$(wc -l <out)" = 4
printf '%s\0' pictures/00.png pictures/01.png pictures/02.png >names
check "a list with NULs" run 0 "${predict[@]}" --null --files-from names
check "each of them" test "$(wc -l <out)" = 4
check "the same by its letter" run 0 "${predict[@]}" -0 --files-from names
check "each of them, too" test "$(wc -l <out)" = 4
check "NULs that nobody told of" run 1 "${predict[@]}" --files-from names
check "no silent first row" test "$(grep -c png out)" = 0
check "says what to do" says "need --null"
cp pictures/00.png $'pictures/two\nlines.png'
printf '%s\0' $'pictures/two\nlines.png' >names
check "a line break in a name" run 0 "${predict[@]}" --null --files-from names
check "is quoted" grep -q '^"pictures/two$' out
rm $'pictures/two\nlines.png'
check "missing file" run 1 "${predict[@]}" none.png pictures/00.png
check "says which" says "none.png: No such file or directory"
head -c 1000 raw | "$convnet" "${predict[@]}" --raw - >out 2>err
check "raw bytes of no whole image" test "$?" = 1
check "says how many" says "216 bytes after 1 whole images"
# Output files: complete, or to be continued.
check "to a file" run 0 "${predict[@]}" --output kept.csv "$sample/t10k-images-idx3-ubyte.gz"
check "as on stdout" cmp kept.csv idx.csv
check "and no part of it is left" test ! -e kept.csv.part
check "nothing on stdout" test ! -s out
{ head -n 100 idx.csv; printf 'cut",7'; } >kept.csv.part
rm kept.csv
check "go on" run 0 "${predict[@]}" --output kept.csv --resume "$sample/t10k-images-idx3-ubyte.gz"
check "from where it was cut" cmp kept.csv idx.csv
head -n 101 idx.csv | sed '2,$s|,.*|,taken,|' >kept.csv.part
check "go on behind what is there" run 0 "${predict[@]}" --output kept.csv --resume \
    "$sample/t10k-images-idx3-ubyte.gz"
check "without scoring it again" test "$(grep -c ',taken,$' kept.csv)" = 100
check "and all the rest" test "$(wc -l <kept.csv)" = 201
check "no heading" run 0 "${predict[@]}" --no-header pictures/00.png
check "one row" test "$(wc -l <out)" = 1
for line in 'a,b' '{"file":1}'; do
    printf '%s\n' "$line" >bad.part
    check "a file of something else: $line" run 1 "${predict[@]}" --output bad --resume \
        --format "$(case $line in '{'*) echo ndjson ;; *) echo csv ;; esac)" pictures/00.png
    check "is left" grep -qxF "$line" bad.part
done
check "--resume needs a file" run 2 "${predict[@]}" --resume pictures/00.png
check "--resume does not number images anew" run 2 "${predict[@]}" --output x --resume --images seen \
    pictures/00.png
check "says why" says "would write over those of the run before"
check "a folder that is not there" run 1 "${predict[@]}" --output none/kept.csv pictures/00.png
# Names with quotes, commas and line breaks are read back unchanged.
odd=$'a "b", c\nd.png'
cp pictures/00.png "$odd"
for format in csv ndjson; do
    check "odd names, $format" run 0 "${predict[@]}" --format $format --output odd "$odd" pictures/00.png
    cp odd odd.part
    rm odd
    check "are known again" run 0 "${predict[@]}" --format $format --output odd --resume "$odd" \
        pictures/00.png
    check "and not scored twice" test "$(wc -l <odd)" = "$([ $format = csv ] && echo 4 || echo 2)"
    rm "odd"
done
# An interrupt leaves complete rows: of a list without an end the first batch is there.
mkfifo unending
"$convnet" "${predict[@]}" --files-from unending --output stopped.csv 2>err &
scoring=$!
exec 9>unending
for _ in $(seq 300); do echo pictures/00.png; done >&9
while [ ! -s stopped.csv.part ]; do kill -0 $scoring || break; done
kill -INT $scoring
wait $scoring
check "stopped by SIGINT" test $? = 130
exec 9>&-
check "says how to go on" says "the rows so far are in stopped.csv.part, and the same command with --resume goes on"
check "with whole rows" test "$(grep -c '^pictures/00.png,.*[0-9],$' stopped.csv.part)" = \
    "$(($(wc -l <stopped.csv.part) - 1))"
check "and no file that looks whole" test ! -e stopped.csv
# Archives are read like folders, in their order.
check "archives" python3 -c 'import os, tarfile, zipfile
names = ["pictures/%02d.png" % i for i in range(19)] + ["pictures/more/with, \"quotes\".png"]
with zipfile.ZipFile("a.zip", "w", zipfile.ZIP_DEFLATED) as z, tarfile.open("a.tar", "w") as t:
    z.writestr("labels.txt", "no picture")
    for n in names:
        z.write(n)
        t.add(n)'
for archive in a.zip a.tar; do
    check "$archive" run 0 "${predict[@]}" $archive
    check "$archive = its folder" cmp <(sed 's|^\("\{0,1\}\)'$archive'/|\1|' out) folder.csv
    check "$archive on stdin" cmp <("$convnet" "${predict[@]}" - <$archive | sed 's|^\("\{0,1\}\)-/|\1|') folder.csv
done
head -c 2600 a.tar >cut.tar
check "a tar that is cut" run 1 "${predict[@]}" cut.tar
check "is said" says "is cut"
check "its whole pictures are scored" grep -q '^cut.tar/pictures/00.png,[0-9]' out
# The most probable classes.
check "the three first classes" run 0 "${predict[@]}" --top 3 pictures/00.png
check "in columns of their own" grep -qx \
    'file,class,label,confidence,class_2,label_2,confidence_2,class_3,label_3,confidence_3,error' out
check "in order" python3 -c 'import csv
one, whole = list(csv.DictReader(open("out")))[0], list(csv.DictReader(open("folder.csv", newline="")))[0]
best = sorted(range(10), key=lambda c: -float(whole["p_%d" % c]))
for i, tail in enumerate(("", "_2", "_3")):
    assert int(one["class" + tail]) == best[i] and one["confidence" + tail] == whole["p_%d" % best[i]]'
check "as NDJSON" run 0 "${predict[@]}" --top 2 --format ndjson pictures/00.png
check "a list" python3 -c 'import json
top = json.load(open("out"))["top"]
assert len(top) == 2 and top[0]["confidence"] >= top[1]["confidence"] and set(top[0]) == {"class", "label", "confidence"}'
check "as a table" run 0 "${predict[@]}" --top 2 --format table pictures/00.png
check "more classes than there are" run 1 "${predict[@]}" --top 11 pictures/00.png
check "says how many" says "the model has 10 classes"
check "errors have a column" run 1 "${predict[@]}" none.png pictures/00.png
check "with all columns" python3 -c 'import csv
rows = list(csv.DictReader(open("out", newline="")))
assert [bool(r["error"]) for r in rows] == [True, False] and None not in rows[0] and None not in rows[0].values()'
# On a terminal: the progress, then a summary.
check "a terminal sees the summary" python3 -c 'import os, pty, subprocess, sys
ours, theirs = pty.openpty()
with open("out", "w") as out:
    process = subprocess.Popen(sys.argv[1:], stdout=out, stderr=theirs)
os.close(theirs)
seen = b""
try:
    while part := os.read(ours, 4096):
        seen += part
except OSError:
    pass
assert process.wait() == 0 and b"20 images - " in seen and seen.endswith(b"\n"), seen' \
    "$convnet" "${predict[@]}" --output kept.csv a.zip
mkdir empty
check "empty folder" run 1 "${predict[@]}" empty

# ---- Info and bench ----
# ---- Pictures: preprocessing, the image that the network saw, unprocessed pictures ----
seven=$top_srcdir/tests/data/seven.png
mkdir seen
check "a model is known without a name" env -C "$top_srcdir" "$convnet" predict tests/data/seven.png
check "what was done" run 0 predict --model model.safetensors --format ndjson --images seen "$seven" "$seven"
check "in two rows" test "$(grep -c '"preprocessing":{"unchanged":true,' out)" = 2
check "names its image" grep -qF '"image":"seen/2.png"' out
check "the image is the picture" run 0 predict --model model.safetensors --preprocess none \
    --format ndjson seen/1.png
cut -d, -f2- out >again
check "with the same answer" run 0 predict --model model.safetensors --format ndjson "$seven"
check "to the bit" test "$(cut -d, -f2- out)" = "$(cat again)"
check "no such folder" run 1 predict --model model.safetensors --images nowhere "$seven"
check "says so" says nowhere
python3 -c 'import struct, sys
images = [bytes(255 if 5 < i % 16 < 10 and 16 < i < 240 else 0 for i in range(256)), bytes(256)]
open("t10k-images-idx3-ubyte", "wb").write(struct.pack(">4i", 2051, 2, 16, 16) + b"".join(images))
open("t10k-labels-idx1-ubyte", "wb").write(struct.pack(">2i", 2049, 2) + bytes([1, 9]))'
check "IDX of another size, one image blank" run 1 predict --model model.safetensors t10k-images-idx3-ubyte
check "one row, and one with its error" test "$(wc -l <out)" = 3
check "and why not the other" says "blank"
check "evaluate takes another size" run 0 evaluate --model model.safetensors --data . --json
check "all of it" python 'j["samples"] == 2'

check "info of a model" run 0 info model.safetensors --json
check "info's numbers" python 'j["parameters"] == 10122 and j["input_shape"] == [28, 28, 1] and
    j["labels"] == list("0123456789") and j["training"]["epochs"] == 2 and
    j["training"]["data"]["samples"] == 400 and j["training"]["learning_rate"] == 0.1 and
    sum(l["parameters"] for l in j["layers"]) == 10122 and j["layers"][0]["output_shape"] == [7, 7, 32]'
check "info as text" run 0 info model.safetensors
check "info of an architecture" run 0 info "$top_srcdir/models/seed-unstrided.json" --json
check "its parameters" python 'j["parameters"] == 17802 and "labels" not in j'
check "bench" run 0 bench "$seed" --seconds 0.01 --threads 2 --json
check "bench's numbers" python '[(r["threads"], r["batch_size"]) for r in j["results"]] ==
    [(t, b) for t in (1, 2) for b in (1, 32, 256, 1024)] and j["peak_gflops"] > 0 and
    all(r["images_per_second"] > 0 and math.isclose(r["gflops"] * 1e9, r["images_per_second"] *
        j["flops_per_image"], rel_tol=1e-6) for r in j["results"])'

check "bench of the layers" run 0 bench "$seed" --layers --seconds 0.01 --json
check "its steps" python '[s["name"] for s in j["steps"]] == ["conv2d", "conv2d_1", "dense"] and
    j["batch_size"] == 1 and all(s["microseconds"] > 0 for s in j["steps"]) and math.isclose(
        j["steps"][2]["gflops"] * 1e3 * j["steps"][2]["microseconds"], 2 * 320, rel_tol=1e-6)'

# ---- The progress line on a terminal of 80 columns, and of 40 ----
check "the bar fits the terminal" python3 - "$convnet" "$seed" "$sample" <<'END'
import fcntl, os, pty, re, struct, sys, termios, time
convnet, seed, sample = sys.argv[1:]
def on_terminal(columns, *arguments):
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(2, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        os.execv(convnet, [convnet, *arguments])
    begun, text = time.monotonic(), b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    assert os.waitpid(pid, 0)[1] == 0, text
    return text.decode(), time.monotonic() - begun
for columns in 80, 40:
    text, seconds = on_terminal(columns, "train", "--architecture", seed, "--data", sample, "--epochs",
                                "30", "--batch-size", "1", "--validation-split", "0.1", "--output",
                                "terminal.safetensors")
    draws = [line for line in re.split(r"[\r\n]+", text.replace("\033[K", "")) if re.match(r"\d+/\d+", line)]
    assert draws and all(len(line) < columns for line in draws), max(draws, key=len)
    assert any("/step" in line for line in draws) and len(draws) <= 30 + 10 * seconds + 30, draws[:3]
    assert any("loss: 0.0" in line for line in draws) if columns == 80 else True
text, _ = on_terminal(80, "evaluate", "--model", "terminal.safetensors", "--data", sample)
assert "/image" in text and "accuracy" in text, text
END

# ---- Names, missing files, wrong usage, full disks ----
mkdir models
cp "$seed" models/tiny.json
cp model.safetensors models/shipped.safetensors
check "a teacher and weights by name" run 0 train --weights shipped --teacher shipped --data "$sample" \
    --epochs 1 --output x.safetensors --quiet
check "an architecture by name" run 0 info tiny
check "an unknown name" run 1 train --architecture enormous --data "$sample" --output x
check "lists the names" grep -q "'enormous'; known names: .*tiny" err
check "missing data" run 1 train --architecture "$seed" --data nowhere --output x
check "says where" says "convnet: train: nowhere"
check "unwritable output" run 1 train --architecture "$seed" --data "$sample" --output nowhere/x
check "says so at once" test "$(grep -c Epoch err)" = 0
head -c 500 model.safetensors >cut.safetensors
check "a cut model" run 1 info cut.safetensors
printf '{"class_name": "Sequential", "config": {"layers": [' >cut.json
check "a cut architecture" run 1 info cut.json
mkdir -p two/train/a two/train/b
cp pictures/00.png two/train/a
cp pictures/01.png two/train/b
check "wrong number of classes" run 1 train --architecture "$seed" --data two --output x
check "names both" grep -q 'two: has 2 classes, but .* has 10 outputs' err
for wrong in "" "nonsense" "train" "train --epochs" "train --epochs=0" "train --epochs=3x" \
    "train --learning-rate=nan" "train --optimizer=none" "train --seed=-1" "train --augment=shift" \
    "train --no-such-option" \
    "train --architecture=a --data=b --output=c --optimizer=adam --momentum=0.9" \
    "train --architecture=a --data=b --output=c --rho=0.9" "predict --model=model.safetensors" "info" "info a b" \
    "evaluate --model=model.safetensors" "bench --threads=0 $seed"; do
    # shellcheck disable=SC2086 # words
    check "wrong usage: convnet $wrong" run 2 $wrong
    check "a message for: convnet $wrong" test -s err
done
run 2 train --batch-size=-3
check "names option, value and rule" says "--batch-size=-3: must be from 1 to 65536"
for command in train evaluate calibrate predict info bench; do
    check "$command --help" run 0 "$command" --help
    check "help of $command" grep -q -- '--usage' out
done
check "--version" run 0 --version
for command in "info $seed" "evaluate --model model.safetensors --data $sample" \
    "predict --model model.safetensors pictures/00.png" "--help"; do
    status=0
    # shellcheck disable=SC2086
    "$convnet" $command >/dev/full 2>err || status=$?
    check "full disk: $command" test "$status" = 1
    check "says so: $command" says "cannot write to the standard output"
done

echo "$checks checks, $failures failed"
[ "$failures" -eq 0 ]
