#!/bin/sh
# Every global symbol of libconvnet begins with cn_, so that it fits into any program.
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
