#!/bin/bash
# Includes go in one direction: a file of src/ may include only files of its own level or lower
# ones. The tables below define the levels; a public header (convnet/...) belongs to the level that
# implements it.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1

# folder -> folders that it may include, besides itself and those that these may include
declare -A below=(
    [base]=""
    [json]="base"
    [kernels]="base"
    [layers]="kernels"
    [network]="layers"
    [image]="network"
    [model]="network image json"
    [data]="network image"
    [import]="model"
    [reading]="model image"
    [train]="model data"
    [metrics]="json"
    [serving]="metrics reading model data"
    [http]="serving json"
    [api]="http"
    [daemon]="api"
    [import]="model"
    [cli]="train reading import"
)
declare -A level_of_header=(
    [convnet/declare.h]=base [convnet/status.h]=base [convnet/shape.h]=base
    [convnet/activation.h]=kernels [convnet/quantization.h]=kernels
    [convnet/layer.h]=layers
    [convnet/ranks.h]=network [convnet/network.h]=network [convnet/plan.h]=network [convnet/trace.h]=network
    [convnet/image.h]=image [convnet/model.h]=model [convnet/dataset.h]=data
    [convnet/reading.h]=reading
    [convnet/trainer.h]=train [convnet/transfer.h]=train
    [convnet/convnet.h]=cli
)

# allowed FROM TO: may FROM include TO?
allowed() {
    local next
    [ "$1" = "$2" ] && return 0
    for next in ${below[$1]}; do
        allowed "$next" "$2" && return 0
    done
    return 1
}

mapfile -t files < <(find include src -name '*.[ch]' | LC_ALL=C sort)
[ "${#files[@]}" -gt 0 ] || { echo "no sources found in $PWD"; exit 1; }

includes=0 failures=0
# folder_of FILE: sets `from` to the folder of the file's level; false if it has none.
folder_of() {
    case $1 in
    src/*/*) from=${1#src/} from=${from%%/*} ;;
    include/*) from=${level_of_header[${1#include/}]-} ;;
    *) from= ;;
    esac
    [ -n "$from" ] && [ -n "${below[$from]+x}" ]
}
for file in "${files[@]}"; do
    folder_of "$file" && continue
    echo "$file: is in no known level; add it to the tables of tests/check-layering.sh"
    failures=$((failures + 1))
done
while IFS=: read -r file line text; do
    folder_of "$file" || continue
    header=${text#*\"} header=${header%%\"*}
    includes=$((includes + 1))
    case $header in
    convnet/*) to=${level_of_header[$header]-} ;;
    */*) to=${header%%/*} ;;
    *) to=$from ;;
    esac
    if [ -z "$to" ] || [ -z "${below[$to]+x}" ]; then
        echo "$file:$line: \"$header\" belongs to no known level"
        failures=$((failures + 1))
    elif ! allowed "$from" "$to"; then
        echo "$file:$line: $from must not include \"$header\" of the higher level $to"
        failures=$((failures + 1))
    fi
done < <(grep -HnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "${files[@]}")

echo "$includes includes in ${#files[@]} files, $failures against the levels"
[ "$failures" -eq 0 ]
