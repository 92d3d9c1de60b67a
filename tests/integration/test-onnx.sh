#!/bin/bash
# The cases of tests/data/onnx, which have the habits of exporters, and ONNX's own conformance cases
# (Debian: libonnx-testdata): no imported case gives wrong numbers, all of the former are imported, and
# as many of the latter as docs/layers.md says. Skipped (77) without ONNX or without the latter.
set -u
cases=${ONNX_CASES:-/usr/share/libonnx-testdata/data}
run=${top_builddir:-build}/tests/support/onnx_cases
[ -x "$run" ] || { echo "no $run"; exit 77; }
"$run" "${top_srcdir:-.}"/tests/data/onnx/* | tee onnx-cases.log
if ! grep -q '^[1-9][0-9]* passed, 0 wrong, 0 refused, 0 unread$' onnx-cases.log; then
    echo "not all cases of tests/data/onnx passed"
    exit 1
fi
[ -d "$cases/node" ] || { echo "no cases in $cases (Debian: libonnx-testdata)"; exit 77; }
least=$(sed -nE "s/^([0-9]+) of ONNX.s own.*/\1/p" "${top_srcdir:-.}/docs/layers.md")
[ -n "$least" ] || { echo "docs/layers.md has no count"; exit 1; }
"$run" "$cases"/node/* "$cases"/pytorch-converted/* "$cases"/pytorch-operator/* "$cases"/simple/* |
    tee onnx-cases.log | grep -v '^REFUSED'
status=${PIPESTATUS[0]}
passed=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' onnx-cases.log)
rm -f onnx-cases.log
[ "$status" -eq 0 ] || exit 1
[ "${passed:-0}" -ge "$least" ] || { echo "only ${passed:-0} passed; docs/layers.md says $least"; exit 1; }
