# Carries the state of the shell from one unit to the next. Read by the bash of a unit before its statement; the
# runner writes the lines above this one, which set:
#   __paramedic_statement   the statement, verbatim       __paramedic_directory  where the first unit begins
#   __paramedic_before      the state to restore, or ''   __paramedic_known      the names in the environment
#   __paramedic_after       where the state is written    __paramedic_scratch    a file for what bash prints
#   __paramedic_refusal     where a reason not to begin the statement is written
# The statement may redefine any command. So everything here is a keyword or goes through `builtin`, and nothing
# forks: what a builtin prints travels through the scratch file.

# Ends the unit before its statement, because of $1.
__paramedic_refuse() {
  builtin trap - EXIT
  builtin printf '%s' "$1" >| "$__paramedic_refusal"
  builtin exit 125
}

# Ends a line with the status $1, by a `return` that is no function: see below.
__paramedic_return() {
  if [[ $__paramedic_able ]]; then builtin return "$1"; fi
  POSIXLY_CORRECT=
  return "$1"
}

# Gets hold of the shell after the statement, whether that ran to its end or to an `exit`, in $1 calls of functions.
# Fails if there is no state to be saved: none any more, or none at all.
__paramedic_stop() {
  __paramedic_able=
  if [[ ! $__paramedic_stopped ]]; then
    __paramedic_stopped=yes __paramedic_calls=$1
    __paramedic_set=:$SHELLOPTS: __paramedic_shopt=${BASHOPTS//:/ }
    # In POSIX mode no function can stand before `export` and `set`: the only sure way to ask whether `builtin` is
    # one. Nothing can be read past it. What the statement disabled is enabled again.
    POSIXLY_CORRECT=
    if ! export -f builtin; then __paramedic_able=yes; fi
    set +aefkuvxC +o posix
    if [[ $__paramedic_able ]] && ! __paramedic_settle; then __paramedic_able=; fi
  fi
  [[ $__paramedic_able ]]
}

# Makes the shell fit for printing its state: all is quoted for the locale C, and with some separators bash takes
# even "$@" apart, so they have to go.
__paramedic_settle() {
  builtin enable break continue declare mapfile printf return set shopt trap umask unset || return
  builtin trap - DEBUG ERR RETURN
  builtin shopt -u localvar_inherit localvar_unset nocasematch
  if ((__paramedic_calls)); then
    __paramedic_global LC_ALL
    __paramedic_locale=$__paramedic_line
    builtin declare -g LC_ALL=C
    __paramedic_global IFS
    __paramedic_ifs=$__paramedic_line
    __paramedic_global OLDPWD
    __paramedic_oldpwd=$__paramedic_line
  else
    __paramedic_locale=${LC_ALL@A}
    builtin declare -g LC_ALL=C
    __paramedic_ifs=${IFS@A}
    builtin unset -v IFS
    __paramedic_oldpwd=${OLDPWD@A}
  fi
  # They come after the functions, where `declare` may be one.
  __paramedic_locale=${__paramedic_locale/#declare /builtin declare }
  __paramedic_ifs=${__paramedic_ifs/#declare /builtin declare }
  __paramedic_oldpwd=${__paramedic_oldpwd/#declare /builtin declare }
}

# Writes the state. The arguments are the positional parameters, those of a function if `exit` was in one.
__paramedic_save() {
  if ((__paramedic_calls)); then builtin set -- "${__paramedic_arguments[@]}"; fi
  __paramedic_dump "$@" >| "$__paramedic_after"
}

__paramedic_dump() {
  __paramedic_lines=('# paramedic state 1')
  # What the statement unset stays so, although the next unit's environment has it again.
  if [[ $__paramedic_known ]]; then __paramedic_lines+=("builtin unset -v $__paramedic_known"); fi
  builtin printf '%s\n' "${__paramedic_lines[@]}"
  __paramedic_variables || builtin return
  # Before the functions: what they may say depends on it.
  builtin printf 'builtin shopt -u ${BASHOPTS//:/ }\n'
  if [[ $__paramedic_shopt ]]; then builtin printf 'builtin shopt -s %s\n' "$__paramedic_shopt"; fi
  __paramedic_functions
  if [[ ${DIRSTACK[0]} != /* ]]; then builtin return; fi
  __paramedic_lines=("builtin cd -- ${DIRSTACK[0]@Q}")
  for ((__paramedic_index = ${#DIRSTACK[@]} - 1; __paramedic_index > 0; __paramedic_index--)); do
    __paramedic_lines+=("builtin pushd -n ${DIRSTACK[__paramedic_index]@Q} >/dev/null")
  done
  __paramedic_lines+=("SECONDS=$SECONDS" 'builtin unset -v OLDPWD' "$__paramedic_oldpwd" 'builtin set --')
  for __paramedic_name in "$@"; do __paramedic_lines[-1]+=" ${__paramedic_name@Q}"; done
  __paramedic_lines+=('__paramedic_arguments=("$@")')
  for __paramedic_name in "${!BASH_ALIASES[@]}"; do
    __paramedic_line=$__paramedic_name=${BASH_ALIASES[$__paramedic_name]}
    __paramedic_lines+=("builtin alias -- ${__paramedic_line@Q}")
  done
  __paramedic_lines+=('builtin unset -v LC_ALL IFS' "$__paramedic_locale" "$__paramedic_ifs")
  __paramedic_set_options
  builtin printf 'builtin '
  builtin umask -p
  builtin printf '%s\n' "${__paramedic_lines[@]}" '# complete'
}

# Prints the declarations of all variables. Their names are in the list of all declarations, lines of the form
# `declare -ATTRIBUTES NAME[=VALUE]`. A value with line feeds may look like more of them, depending on the version.
__paramedic_variables() {
  builtin declare -p >| "$__paramedic_scratch"
  builtin mapfile -t __paramedic_lines < "$__paramedic_scratch" || builtin return
  builtin declare -gA __paramedic_seen
  for __paramedic_line in "${__paramedic_lines[@]}"; do
    __paramedic_name=${__paramedic_line#declare -* }
    __paramedic_name=${__paramedic_name%%=*}
    case $__paramedic_name in
      '' | [0-9]* | *[!A-Za-z0-9_]* | _ | __paramedic_* | PARAMEDIC_*) builtin continue ;;
      # Bash's own: read-only, of this process, or restored in another way.
      BASH | BASHOPTS | BASHPID | BASH_ALIASES | BASH_ARG[CV] | BASH_ARGV0 | BASH_CMDS | BASH_COMMAND) builtin continue ;;
      BASH_EXECUTION_STRING | BASH_LINENO | BASH_MONOSECONDS | BASH_SOURCE | BASH_SUBSHELL) builtin continue ;;
      BASH_TRAPSIG | BASH_VERSINFO | BASH_VERSION | BASH_XTRACEFD | COMP_WORDBREAKS | DIRSTACK) builtin continue ;;
      EPOCHREALTIME | EPOCHSECONDS | EUID | FUNCNAME | GROUPS | HISTCMD | IFS | LC_ALL | LINENO | OLDPWD) builtin continue ;;
      PIPESTATUS | POSIXLY_CORRECT | PPID | PWD | RANDOM | SECONDS | SHELLOPTS | SHLVL | SRANDOM | UID) builtin continue ;;
    esac
    if [[ ${__paramedic_seen[$__paramedic_name]} ]]; then builtin continue; fi
    __paramedic_seen[$__paramedic_name]=yes
    if ((__paramedic_calls)); then
      __paramedic_global "$__paramedic_name"
      builtin printf '%s\n' "$__paramedic_line"
    else
      builtin declare -p "$__paramedic_name"
    fi
  done
}

# Finds the declaration of the global variable $1, although calls of functions are still open that may have local
# ones of this name: each `unset` uncovers the next outer one, and `declare -g` makes sure of a global one.
__paramedic_global() {
  builtin declare -g "$1"
  for ((__paramedic_index = 0; __paramedic_index <= __paramedic_calls; __paramedic_index++)); do
    builtin declare -p "$1" >| "$__paramedic_scratch" || builtin break
    builtin mapfile -d '' __paramedic_text < "$__paramedic_scratch"
    __paramedic_line=${__paramedic_text[0]%$'\n'}
    builtin unset -v "$1" || builtin break
  done
  # That one has no value if nobody but us declared it.
  if [[ $__paramedic_line == "declare -- $1" ]]; then __paramedic_line=; fi
}

__paramedic_functions() {
  builtin declare -F >| "$__paramedic_scratch"
  builtin mapfile -t __paramedic_lines < "$__paramedic_scratch"
  for __paramedic_line in "${__paramedic_lines[@]}"; do
    __paramedic_name=${__paramedic_line##* }
    if [[ $__paramedic_name == __paramedic_* ]]; then builtin continue; fi
    builtin declare -f -- "$__paramedic_name"
    # Exported or read-only: `declare -fx NAME`.
    if [[ $__paramedic_line != "declare -f $__paramedic_name" ]]; then builtin printf 'builtin %s\n' "$__paramedic_line"; fi
  done
}

# Last of all, and in one command: from there on `-e`, `-u` and the others hold. First it undoes what a fresh bash
# has, and the `-e` of restoring. Tracing would show our own lines, so it begins together with the statement.
__paramedic_set_options() {
  for __paramedic_name in xtrace verbose; do
    if [[ $__paramedic_set == *:$__paramedic_name:* ]]; then
      __paramedic_lines+=("__paramedic_trace+='builtin set -o $__paramedic_name; '")
    fi
  done
  # Of a person at a terminal, or the end of all commands.
  for __paramedic_name in xtrace verbose emacs vi history histexpand noexec onecmd privileged; do
    __paramedic_set=${__paramedic_set/:$__paramedic_name:/:}
  done
  __paramedic_set=${__paramedic_set#:}
  __paramedic_set=${__paramedic_set%:}
  __paramedic_line='builtin set +o braceexpand +o errexit +o hashall +o interactive-comments'
  __paramedic_lines+=("$__paramedic_line${__paramedic_set:+ -o ${__paramedic_set//:/ -o }}")
}

__paramedic_stopped= __paramedic_trace= __paramedic_arguments=()
if [[ $__paramedic_before ]]; then
  LC_ALL=C
  builtin trap '__paramedic_refuse "the state of the unit before could not be restored"' EXIT
  builtin set -e
  builtin source "$__paramedic_before"
else
  builtin cd -- "$__paramedic_directory" || __paramedic_refuse 'the directory cannot be entered'
  builtin unset -v OLDPWD
fi
builtin trap '{ if __paramedic_stop "${#FUNCNAME[@]}"; then __paramedic_save "$@"; fi; } >/dev/null 2>&1' EXIT
