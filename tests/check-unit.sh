#!/bin/bash
# systemd must accept the units; the exposure of the plain service must be at most 1.0 and that of
# the socket-activated one at most 0.3; and each setting of the sandbox must have a comment with its
# reason. Skipped (77) without systemd's tools.
set -u
top=${top_srcdir:-.}
built=${top_builddir:-.}/systemd
command -v systemd-analyze >/dev/null || { echo "systemd-analyze is missing"; exit 77; }
work=$(mktemp -d "${TMPDIR:-/tmp}/convnet-unit.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
failures=0

fail() {
    echo "$*"
    failures=$((failures + 1))
}

# `verify` requires that the program exists, so the units name the program that was built.
for unit in convnetd.service convnetd-activated.service; do
    sed -E "s#^(ExecStart|ExecReload)=[^ ]*#\1=$(realpath "${top_builddir:-.}")/convnetd#" "$built/$unit" \
        >"$work/$unit" || exit 1
    ! grep -n '@[a-z]*@' "$work/$unit" || fail "$unit: a place was not filled in"
done
cp "$top/systemd/convnetd.socket" "$work" || exit 1
for unit in convnetd.service convnetd-activated.service convnetd.socket; do
    faults=$(cd "$work" && SYSTEMD_LOG_LEVEL=warning SYSTEMD_UNIT_PATH="$work:" \
        systemd-analyze verify --man=no "./$unit" 2>&1 | grep -F convnetd)
    [ -z "$faults" ] || fail "$faults"
done

# exposure UNIT LIMIT: the limit is on a scale of 0 to 100.
exposure() {
    local report
    if report=$(systemd-analyze security --offline=true --no-pager --threshold="$2" \
        "$work/$1" 2>&1); then
        printf '%s\n' "$report" | grep -F 'Overall exposure' || fail "$report"
    else
        fail "$report"
    fi
}
# The start of one unit first stops the other and waits for its end: both need the same port and
# folder.
for pair in convnetd.service:convnetd-activated.service convnetd-activated.service:convnetd.service; do
    for key in Conflicts After; do
        grep -qE "^$key=(.* )?${pair#*:}( |$)" "$work/${pair%:*}" ||
            fail "${pair%:*}: $key= does not name ${pair#*:}"
    done
done
# Both units use the same folder for the admin socket.
for unit in convnetd.service convnetd-activated.service; do
    [ "$(grep '^RuntimeDirectory=' "$work/$unit")" = RuntimeDirectory=convnetd ] ||
        fail "$unit: RuntimeDirectory= is not convnetd alone"
done
exposure convnetd.service 10
exposure convnetd-activated.service 3

# In [Service] each setting must follow a comment, or a setting that has one.
for unit in convnetd.service convnetd-activated.service; do
    awk -v unit="$unit" '
        /^\[/ { service = ($0 == "[Service]"); explained = 0; next }
        /^#/ { explained = 1; next }
        /^$/ { explained = 0; next }
        service && !explained { print unit ":" NR ": no reason is given for " $0; bad = 1 }
        END { exit bad }' "$work/$unit" || failures=$((failures + 1))
done
[ "$failures" -eq 0 ]
