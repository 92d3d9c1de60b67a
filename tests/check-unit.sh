#!/bin/bash
# systemd accepts the unit, and its exposure stays at or below 1.0. Skipped (77) without systemd's
# tools.
set -u
unit=${top_builddir:-.}/systemd/convnetd.service
command -v systemd-analyze >/dev/null || { echo "systemd-analyze is missing"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/convnet-unit.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT

# `verify` insists that the program exists: it gets the one that was built.
sed "s|^ExecStart=[^ ]*|ExecStart=$(realpath "${top_builddir:-.}")/convnetd|" "$unit" \
    >"$work/convnetd.service" || exit 1
faults=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no "$work/convnetd.service" 2>&1 |
    grep -F convnetd)
if [ -n "$faults" ]; then
    printf '%s\n' "$faults"
    exit 1
fi

# The threshold is on a scale of 0 to 100.
report=$(systemd-analyze security --offline=true --no-pager --threshold=10 \
    "$work/convnetd.service" 2>&1) || { printf '%s\n' "$report"; exit 1; }
printf '%s\n' "$report" | grep -F 'Overall exposure' || { printf '%s\n' "$report"; exit 1; }
