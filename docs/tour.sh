#!/usr/bin/env bash
# The ten minutes of README.md as a script, with the time that each part takes:
#
#     docs/tour.sh PID
#
# PID is the process of a server of yours that you can do without for a minute: it gets a `kill -9`. Whoever restarts that
# server does so now as well (systemd, or you); Paramedic only watches. Needed: `paramedic` in the search path, bash, awk,
# and no configuration yet, as `init` overwrites none ($PARAMEDIC_CONFIG names another place for it).
# The `serve` that is started here ends with the script.
set -euo pipefail
PID=${1:?"tour.sh PID: the process of a server of yours that may be killed"}

milliseconds() { local now=${EPOCHREALTIME/[.,]/}; echo $((now / 1000)); }
seconds() { printf '%d.%02d s' $(($1 / 1000)) $(($1 % 1000 / 10)); }

# Shows a command as a person would type it, runs it here, and says how long it took.
try() {
    local began
    began=$(milliseconds)
    printf '\n$ %s\n' "$1"
    eval "$1"
    printf -- '-- %s\n' "$(seconds $(($(milliseconds) - began)))"
}

began=$(milliseconds)
trap 'kill $(jobs -p) 2>/dev/null || :; wait' EXIT

try 'paramedic init'
try 'paramedic config show'
try 'paramedic check'
printf '\n-- the first true answer after %s\n' "$(seconds $(($(milliseconds) - began)))"

try 'paramedic serve >serve.log 2>&1 &'
try 'until paramedic server list 2>/dev/null; do sleep 1; done'
try 'kill -9 "$PID"'
try 'paramedic incident watch'

try "ID=\$(paramedic incident list --all | awk 'END { print \$1 }')"
try 'paramedic incident show "$ID"'
try 'paramedic incident report "$ID"'
printf '\n-- all of it took %s\n' "$(seconds $(($(milliseconds) - began)))"
