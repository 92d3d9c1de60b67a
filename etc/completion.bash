# shellcheck shell=bash disable=SC2086,SC2207 # lists of words, none of which has blanks
# completion.bash: completion of convnet and convnetd for bash and zsh. It asks the installed
# programs for their options (--help).
#
# bash: put it into /etc/bash_completion.d/, or source it in ~/.bashrc.
# zsh:  autoload -Uz compinit bashcompinit && compinit && bashcompinit, then source it.

# _convnet_options WORD...: prints the long options in a program's help, with "=" after those that
# take a value.
_convnet_options() {
    "$@" --help 2>/dev/null | sed -nE 's/^ +(-[a-zA-Z?0], )?(--[a-z0-9-]+)(\[?=)?.*/\2\3/p' | sed 's/\[=$//'
}

# _convnet_words WORD...: prints the commands in a program's help, the first word of each line.
_convnet_words() {
    "$@" --help 2>/dev/null | sed -nE "$_convnet_line"
}

_convnet() {
    local program=$1 current=$2 place=$COMP_CWORD command=
    local _convnet_line='s/^  ([a-z]+) +[A-Za-z].*/\1/p'
    [ "${program##*/}" = convnetd ] && _convnet_line='s/^ +(convnetd )?(reload|status|models|load|unload|stats)( .*|$)/\2/p'
    COMPREPLY=()
    if [ "${program##*/}" = convnet ]; then
        command=${COMP_WORDS[1]}
        [ "$place" -gt 1 ] || command=
    fi
    if [ "$place" -eq 1 ] && [ "${current#-}" = "$current" ]; then
        COMPREPLY=($(compgen -W "$(_convnet_words "$program")" -- "$current"))
    elif [ "${current#-}" != "$current" ]; then
        COMPREPLY=($(compgen -W "$(_convnet_options "$program" $command)" -- "$current"))
        case ${COMPREPLY[0]} in *=) [ "${#COMPREPLY[@]}" -eq 1 ] && compopt -o nospace 2>/dev/null ;; esac
    else
        [ "$current" = = ] && current=
        COMPREPLY=($(compgen -f -- "$current"))
    fi
}
complete -o filenames -F _convnet convnet convnetd
