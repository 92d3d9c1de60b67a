#!/bin/bash
# docs/layers.md is what tests/list-layers makes of the table that is compiled in. (The counts of
# ONNX's cases are test-onnx.sh's.)
set -u
build=$(readlink -f "${top_builddir:-build}")
cd "${top_srcdir:-.}" || exit 1
[ -x "$build/convnet" ] || { echo "no $build/convnet"; exit 77; }
made=$(top_builddir=$build tests/list-layers --counts) || exit 1
diff <(printf '%s\n' "$made") docs/layers.md || {
    echo "docs/layers.md is old: tests/list-layers > new && mv new docs/layers.md"
    exit 1
}
grep -c '^| [A-Z]' docs/layers.md
