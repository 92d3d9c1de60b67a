#!/bin/bash
# Names that a stranger can search for: no two sources share a basename.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
failures=0
fail() {
    echo "$1"
    failures=$((failures + 1))
}

mapfile -t sources < <(find src -name '*.[ch]' -o -name '*.inc' | LC_ALL=C sort)
[ "${#sources[@]}" -gt 0 ] || { echo "no sources found in $PWD"; exit 1; }
while read -r name; do
    fail "several files are called $name: $(printf '%s\n' "${sources[@]}" | grep "/$name\$" | tr '\n' ' ')"
done < <(printf '%s\n' "${sources[@]}" | sed 's|.*/||' | LC_ALL=C sort | uniq -d)

echo "${#sources[@]} sources, $failures names to mend"
[ "$failures" -eq 0 ]
