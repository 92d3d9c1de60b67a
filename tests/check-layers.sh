#!/bin/bash
# docs/layers.md must be what tests/list-layers makes of the compiled table. (test-onnx.sh checks
# the counts of ONNX's cases.)
set -u
build=$(readlink -f "${top_builddir:-build}")
cd "${top_srcdir:-.}" || exit 1
[ -x "$build/convnet" ] || { echo "no $build/convnet"; exit 77; }
made=$(top_builddir=$build tests/list-layers --counts) || exit 1
diff <(printf '%s\n' "$made") docs/layers.md || {
    echo "docs/layers.md is out of date; run: tests/list-layers > new && mv new docs/layers.md"
    exit 1
}
grep -c '^| [A-Z]' docs/layers.md
