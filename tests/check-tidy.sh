#!/bin/bash
# The checks of .clang-tidy must hold in every source (clang-tidy 14; 20 s of processor time). The
# compiler's flags come from make: make check TESTS=tests/check-tidy.sh. Skipped (77) without these
# flags, without clang-tidy-14, and in a build with a sanitizer, which has the same sources. With
# FILE... only these are checked.
set -u
build=$(realpath "${top_builddir:-.}")
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
command -v clang-tidy-14 >/dev/null || { echo "clang-tidy-14 is missing (Debian: clang-tidy-14)"; exit 77; }
[ -n "${tidy_flags:-}" ] || { echo "no flags: run it by make check TESTS=tests/check-tidy.sh"; exit 77; }
[ "${sanitizer:-no}" = no ] || { echo "built with a sanitizer"; exit 77; }
files=("$@")
[ $# -gt 0 ] || mapfile -t files < <(find src -name '*.c' | LC_ALL=C sort)
# Sources that are not part of this build may lack their headers.
[[ $tidy_flags == *HAVE_MPI* ]] || mapfile -t files < <(printf '%s\n' "${files[@]}" | grep -v '_mpi\.c$')
[ "${#files[@]}" -gt 0 ] || { echo "no sources found in $PWD"; exit 1; }
# shellcheck disable=SC2162 # the backslashes are make's, before quotes and blanks
read -a flags <<<"$tidy_flags"
flags+=(-std=gnu11 -Wno-unknown-pragmas -Iinclude -Isrc "-I$build" "-I$build/src")
# shellcheck disable=SC2016 # the inner shell's
printf '%s\0' "${files[@]}" | xargs -0 -n 8 -P 2 bash -c '
    count=$1; shift
    clang-tidy-14 --quiet "${@:count+1}" -- "${@:1:count}" 2>/dev/null' tidy "${#flags[@]}" "${flags[@]}"
status=$?
echo "${#files[@]} files"
[ "$status" -eq 0 ]
