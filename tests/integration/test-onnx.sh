#!/bin/bash
# ONNX's own conformance cases (Debian: libonnx-testdata): no imported case gives wrong numbers, and
# as many are imported as docs/layers.md says. Skipped (77) without the cases or without ONNX.
set -u
cases=${ONNX_CASES:-/usr/share/libonnx-testdata/data}
run=${top_builddir:-build}/tests/support/onnx_cases
[ -d "$cases/node" ] || { echo "no cases in $cases (Debian: libonnx-testdata)"; exit 77; }
[ -x "$run" ] || { echo "no $run"; exit 77; }
least=$(sed -nE "s/^([0-9]+) of ONNX.s own.*/\1/p" "${top_srcdir:-.}/docs/layers.md")
[ -n "$least" ] || { echo "docs/layers.md has no count"; exit 1; }
"$run" "$cases"/node/* "$cases"/pytorch-converted/* "$cases"/pytorch-operator/* "$cases"/simple/* |
    tee onnx-cases.log | grep -v '^REFUSED'
status=${PIPESTATUS[0]}
passed=$(sed -n 's/^\([0-9]*\) passed, .*/\1/p' onnx-cases.log)
rm -f onnx-cases.log
[ "$status" -eq 0 ] || exit 1
[ "${passed:-0}" -ge "$least" ] || { echo "only ${passed:-0} passed; docs/layers.md says $least"; exit 1; }
