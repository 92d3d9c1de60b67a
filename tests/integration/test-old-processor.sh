#!/bin/bash
# The default build runs on an x86-64 processor without AVX (qemu's oldest), with the same answers
# as the portable kernels on this machine. Skipped (77) without qemu-x86_64-static, on another
# architecture, and with a sanitizer, which qemu cannot run.
set -u
top=${top_srcdir:-$(cd "$(dirname "$0")/../.." && pwd)}
convnet=${top_builddir:-$top/build}/convnet
command -v qemu-x86_64-static >/dev/null || { echo "qemu-x86_64-static is missing"; exit 77; }
[ "$(uname -m)" = x86_64 ] || { echo "this is not an x86-64"; exit 77; }
[ "${sanitizer:-no}" = no ] || { echo "built with a sanitizer"; exit 77; }

# Set already, so that the program does not execute itself outside of qemu to set it.
export OMP_WAIT_POLICY=passive
old=(qemu-x86_64-static -cpu qemu64 "$convnet")
model=$top/models/digits.safetensors
picture=$top/tests/data/seven.png

"${old[@]}" info "$model" 2>/dev/null | grep -q '^Instruction set *portable$' ||
    { echo "not the portable kernels"; exit 1; }
here=$(CONVNET_ISA=portable "$convnet" predict --model "$model" --threads 1 "$picture") || exit 1
there=$("${old[@]}" predict --model "$model" --threads 1 "$picture" 2>/dev/null) || exit 1
if [ -z "$here" ] || [ "$here" != "$there" ]; then
    printf 'the answers differ:\n%s\n%s\n' "$here" "$there"
    exit 1
fi
