#!/bin/bash
# etc/completion.bash completes every command and every option in the help of the programs, in bash
# and, if it is installed, in zsh. The programs are those of this build.
set -u
source=${top_srcdir:-$(dirname "$0")/../..}
build=$(realpath "${top_builddir:-.}")
checks=0 failures=0
check() { # WHAT WANTED GOT
    checks=$((checks + 1))
    [ "$2" = "$3" ] && return
    failures=$((failures + 1))
    printf 'FAIL %s: expected [%s], got [%s]\n' "$1" "$2" "$3"
}
PATH=$build:$PATH
# shellcheck source=/dev/null
. "$source/etc/completion.bash"
# completed WORD...: the completions of the last word, which may be incomplete.
completed() {
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _convnet "$1" "${COMP_WORDS[COMP_CWORD]}" "" 2>/dev/null
    printf '%s\n' "${COMPREPLY[@]}" | LC_ALL=C sort | tr '\n' ' '
}
commands=$(convnet --help | sed -n 's/^  \([a-z]*\)  *[a-z].*/\1/p')
check "the commands" "$(LC_ALL=C sort <<<"$commands" | tr '\n' ' ')" "$(completed convnet "")"
check "there are some" yes "$([ "$(wc -w <<<"$commands")" -ge 9 ] && echo yes)"
for command in $commands; do
    # Reads the help in another way: every word with two dashes at the beginning of an option's
    # line.
    expected=$(convnet "$command" --help | awk '/^ +(-.,)? *--/ { sub(/^ +(-., )?/, ""); print $1 }' |
        sed -E 's/\[=.*//; s/=.*/=/' | LC_ALL=C sort -u | tr '\n' ' ')
    check "options of $command" "$expected" "$(completed convnet "$command" -- | tr ' ' '\n' | LC_ALL=C sort -u | tr '\n' ' ' | sed 's/^ //')"
done
check "a part of one" "--architecture= " "$(completed convnet train --arch)"
check "a daemon's option" "--max-header-fields= " "$(completed convnetd --max-header-f)"
check "a daemon's calls" "reload " "$(completed convnetd rel)"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
: >"$folder/model.safetensors"
check "files" "$folder/model.safetensors " "$(completed convnet predict --model = "$folder/mod")"
if command -v zsh >/dev/null; then
    check "zsh takes it" "_convnet" "$(zsh -fc "autoload -Uz compinit bashcompinit && compinit -u -D && bashcompinit && . '$source/etc/completion.bash' && whence -w _convnet" | cut -d: -f1)"
fi
echo "$checks checks, $failures failures"
[ "$failures" -eq 0 ]
