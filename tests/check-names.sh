#!/bin/bash
# Names must be easy to search: no two sources share a basename, no static function is named by a
# verb alone, each layer type is named in a unit test and each command in an integration test, and
# metrics are named in their table.
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

verbs='add|answer|begin|build|check|copy|done|drop|finish|forward|backward|grow|list|look|make|open|parse|pop|prepare|print|push|put|read|refuse|run|scale|step|submit|take|write'
while read -r line; do
    fail "a verb alone is no name for a function: $line"
done < <(grep -HnE "^static [a-zA-Z_0-9 *]*[ *]($verbs)\(" "${sources[@]}" | grep -v "\.inc:")

types=$(grep -hoE '\.class_name = "[A-Za-z0-9]+"' src/layers/*.c | cut -d'"' -f2 | LC_ALL=C sort -u)
[ -n "$types" ] || fail "no layer type was found in src/layers"
for type in $types; do
    grep -qw "$type" tests/unit/*.c || fail "no unit test names the layer type $type"
done

commands=$(sed -n 's/^    {"\([a-z]*\)", ".*", cli_[a-z_]*},$/\1/p' src/cli/convnet.c)
[ -n "$commands" ] || fail "no command was found in src/cli/convnet.c"
for command in $commands; do
    grep -rqw "$command" tests/integration || fail "no integration test names the command $command"
done

while read -r line; do
    fail "a metric is named outside of src/metrics/metric_table.c: $line"
done < <(grep -HnE '"(convnetd|nv|process)_[a-z_]+' "${sources[@]}" | grep -v '^src/metrics/metric_table.c:')

# What a fragment of the Makefile names is there, and each source is in one: `make dist' takes them.
listed=$(grep -hoE 'src/[a-z0-9_/]+\.(c|h|inc)\b' src/*/*.mk | LC_ALL=C sort -u)
while read -r name; do
    fail "only the Makefile's fragments or only the folders have $name"
done < <(comm -3 <(echo "$listed") <(printf '%s\n' "${sources[@]}" | LC_ALL=C sort) | tr -d '\t' |
    grep -vE '^src/(api/embedded\.c|import/onnx\.pb-c\.[ch])$')

while read -r line; do
    fail "atomics are in src/base/atomics.h: $line"
done < <(grep -HnE '__atomic_|__sync_|<stdatomic\.h>' "${sources[@]}" | grep -v '^src/base/atomics.h:')

echo "${#sources[@]} sources, $failures names to mend"
[ "$failures" -eq 0 ]
