#!/bin/bash
# Every C file must be formatted as .clang-format says. Skipped (77) without clang-format 14,
# because other versions format differently.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
tool=$(command -v clang-format-14) || { echo "clang-format-14 is missing"; exit 77; }
mapfile -t files < <(find include src tests bench examples -name '*.[ch]' | LC_ALL=C sort)
[ "${#files[@]}" -gt 0 ] || { echo "no sources found in $PWD"; exit 1; }
"$tool" --dry-run --Werror --style=file "${files[@]}" || exit 1
echo "${#files[@]} files"
