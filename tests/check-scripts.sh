#!/bin/bash
# Every shell script must pass shellcheck. Skipped (77) without shellcheck.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
command -v shellcheck >/dev/null || { echo "shellcheck is missing"; exit 77; }
scripts=()
for file in quickstart .ci/run scripts/* bench/* tests/* tests/*/*.sh tests/unit/*.tap examples/* packaging/* packaging/*/* \
    packaging/debian/tests/*; do
    [ -f "$file" ] || continue
    IFS= read -r first <"$file" || continue
    case $first in
    '#!'*sh) scripts+=("$file") ;;
    esac
done
[ "${#scripts[@]}" -gt 0 ] || { echo "no scripts found in $PWD"; exit 1; }
shellcheck "${scripts[@]}" || exit 1
echo "${#scripts[@]} scripts"
