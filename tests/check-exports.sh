#!/bin/sh
# Every global symbol of libconvnet must begin with cn_, so that it cannot clash with symbols of the
# program that uses it; no global symbol of the daemon may have the name of a library function.
set -u
archive=${top_builddir:-.}/.libs/libconvnet.a
command -v nm >/dev/null || { echo "nm is missing"; exit 77; }
[ -f "$archive" ] || { echo "$archive is missing: the library was built as a shared one only"; exit 77; }
# Names that begin with __ are the compiler's own (sanitizers).
symbols=$(nm -g --defined-only "$archive" | awk 'NF == 3 && $3 !~ /^__/ { print $3 }') || exit 1
[ -n "$symbols" ] || { echo "$archive defines nothing"; exit 1; }
strangers=$(printf '%s\n' "$symbols" | grep -v '^cn_')
if [ -n "$strangers" ]; then
    echo "these symbols of libconvnet do not begin with cn_:"
    printf '%s\n' "$strangers"
    exit 1
fi
printf '%s symbols\n' "$(printf '%s\n' "$symbols" | wc -l)"

# A function of the daemon with the name of a library function would also be called by the
# libraries. Only the two in src/http/intake.c do this on purpose.
program=${top_builddir:-.}/convnetd
daemon=${top_builddir:-.}/.libs/libconvnetd.a
command -v ldd >/dev/null && [ -f "$daemon" ] && [ -x "$program" ] || exit 0
own=$(nm -g --defined-only "$daemon" | awk 'NF == 3 && $3 !~ /^__/ { print $3 }' |
    grep -vxE 'recv|gnutls_record_recv' | sort -u)
theirs=$(ldd "$program" | awk '$3 ~ /^\// { print $3 }' | xargs -r nm -D --defined-only 2>/dev/null |
    awk 'NF == 3 { sub(/@.*/, "", $3); print $3 }' | sort -u)
hidden=$(printf '%s\n%s\n' "$own" "$theirs" | sort | uniq -d)
if [ -n "$hidden" ]; then
    echo "these symbols of the daemon hide a library's:"
    printf '%s\n' "$hidden"
    exit 1
fi
