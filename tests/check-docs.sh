#!/bin/bash
# Every file of the tree that a document names must exist.
set -u
cd "${top_srcdir:-$(dirname "$0")/..}" || exit 1
documents=(README.md CONTRIBUTING.md SECURITY.md docs/*.md)
names=0 missing=0
while IFS=: read -r document name; do
    name=${name%.}
    names=$((names + 1))
    # A name may be a pattern ("src/image/*.c") or contain a placeholder ("test_<source>.c").
    case $name in *'<'*) continue ;; esac
    # A built program has the name of its source.
    compgen -G "$name" >/dev/null || [ -f "$name.c" ] || {
        echo "$document names $name, which does not exist"
        missing=$((missing + 1))
    }
done < <(grep -HoE '(^|[ `(])(src|include|tests|bench|scripts|docs|systemd|packaging|examples)/[A-Za-z0-9_./*<>-]*[A-Za-z0-9*>]' \
    "${documents[@]}" | tr -d ' `(' | LC_ALL=C sort -u)
[ "$names" -gt 20 ] || { echo "only $names names were found in the documents"; exit 1; }
echo "$names names in ${#documents[@]} documents, $missing missing"
[ "$missing" -eq 0 ]
