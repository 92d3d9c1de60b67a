#!/bin/bash
# The man pages must format without a warning. Skipped (77) without groff.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
command -v groff >/dev/null || { echo "groff is missing"; exit 77; }
failures=0
for page in docs/*.[1-8]; do
    # -b prints the place of a warning; the output is discarded, so everything on stderr is a fault.
    faults=$(groff -man -t -Tutf8 -K utf8 -b -ww -z -rLL=100n "$page" 2>&1)
    if [ -n "$faults" ]; then
        printf '%s:\n%s\n' "$page" "$faults"
        failures=$((failures + 1))
    fi
done
[ "$failures" -eq 0 ]
