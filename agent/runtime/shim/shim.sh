#!/bin/sh
# swarmcut's OCI runtime: the engine calls it in place of runc, with runc's arguments (`agent install` sees to that).
#
# It becomes runc at once, without starting any process (but one `sed` at `start` where there is an agent), unless one of these holds:
#   create  an agent expects this container's service: the agent decides, through `agent shim` (agent/runtime/shim/client.ts)
#   start   the container was restored by `create` and runs already; or it is to have a sidecar, which the agent starts first
#           (agent/runtime/shim/start.ts, which then becomes runc, with a sidecar or without)
#   kill    the container has moved away: what is left of it here is ended at once
#   delete  our marks for the container, and what the agent remembers of its network, are removed first
#
# Markers, all made by the agent (agent/runtime/shim/expectations.ts) or `agent shim`:
#   <run>/expect/<service>   <run>/restored/<container>   <run>/moved/<container>   <run>/sidecar/<service>
# Also the agent's: <run>/network/<container>.json (agent/network/network-memory.ts).
# Settings: <run>/shim.conf (runc=, node=, main=, data_root=, sidecar_algorithms=), written by the agent. <run> is $SWARMCUT_RUN, else what the file
# shim.run beside this script says, else /run/swarmcut.

run=${SWARMCUT_RUN:-}
if [ -z "$run" ] && [ -r "${0%/*}/shim.run" ]; then read -r run <"${0%/*}/shim.run"; fi
run=${run:-/run/swarmcut}

# Sets runc. The settings file is not read for it: the fast path opens no file.
find_runc() {
  for runc in "${SWARMCUT_RUNC:-}" /usr/sbin/runc /usr/bin/runc /usr/local/sbin/runc /usr/local/bin/runc; do
    [ -n "$runc" ] && [ -x "$runc" ] && return
  done
  [ -r "$run/shim.conf" ] && . "$run/shim.conf" && [ -x "$runc" ] && return
  fail "runc was not found; set runc= in $run/shim.conf"
}

# Says why where the engine looks for it (runc's log file), and where people do.
fail() {
  PATH=/usr/sbin:/usr/bin:/sbin:/bin
  echo "swarmcut: $1" >&2
  if [ -n "$log" ]; then
    printf '{"level":"error","msg":"swarmcut: %s","time":"%s"}\n' "$1" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >>"$log"
  fi
  exit 1
}

# True if the pattern that it is called with names at least one file.
any() {
  [ -e "$1" ]
}

# Reads runc's command line: sets command, id (first operand), log, and globals (how many arguments stand before the command).
parse() {
  command='' id='' log='' globals=0
  take=''
  for argument do
    if [ -n "$take" ]; then
      [ "$take" = log ] && log=$argument
      take=''
      [ -n "$command" ] || globals=$((globals + 1))
      continue
    fi
    if [ -z "$command" ]; then
      case $argument in
        --log=*) log=${argument#--log=} ;;
        --log) take=log ;;
        --root | --log-format | --criu | --rootless) take=value ;;
        -*) ;;
        *) command=$argument && continue ;;
      esac
      globals=$((globals + 1))
    else
      case $argument in
        --bundle | -b | --console-socket | --pid-file | --pidfd-socket | --preserve-fds) take=value ;;
        -*) ;;
        *) id=$argument && return ;;
      esac
    fi
  done
}

parse "$@"

case $command in
  create)
    if [ -n "$id" ] && any "$run"/expect/*; then
      PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin} node='' main='' data_root=/var/lib/docker
      [ -r "$run/shim.conf" ] && . "$run/shim.conf"
      # The engine writes a container's labels before it calls us; they are not in the bundle.
      service=$(sed -n 's/.*"com\.docker\.swarm\.service\.name":"\([^"\\/]*\)".*/\1/p' \
        "$data_root/containers/$id/config.v2.json" 2>/dev/null)
      if [ -n "$service" ] && [ -e "$run/expect/$service" ]; then
        find_runc
        [ -x "$node" ] && [ -r "$main" ] ||
          fail "a task of service $service is to be restored, but $run/shim.conf does not name node and agent: restart the agent of this node"
        export SWARMCUT_RUN="$run" SWARMCUT_RUNC="$runc" SWARMCUT_SERVICE="$service" SWARMCUT_DATA_ROOT="$data_root"
        exec "$node" "$main" shim "$@"
      fi
    fi
    ;;
  start)
    [ -n "$id" ] && [ -e "$run/restored/$id" ] && exit 0
    if [ -n "$id" ] && [ -d "$run/sidecar" ] && [ -r "$run/shim.conf" ]; then
      PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin} node='' main='' data_root=/var/lib/docker sidecar_algorithms=''
      . "$run/shim.conf"
      # Two words: the service, and the algorithm that its containers' labels declare.
      declared=$(sed -n -e 'h' -e 's/.*"com\.docker\.swarm\.service\.name":"\([^"\\/ ]*\)".*/\1/p' \
        -e 'g' -e 's/.*"swarmcut\.algorithm":"\([^"\\ ]*\)".*/=\1/p' "$data_root/containers/$id/config.v2.json" 2>/dev/null)
      service='' algorithm=''
      for word in $declared; do
        case $word in
          =*) algorithm=${word#=} ;;
          *) service=$word ;;
        esac
      done
      wanted=''
      if [ -n "$service" ]; then
        [ -e "$run/sidecar/$service" ] && wanted=1
        case " $sidecar_algorithms " in *" ${algorithm:-none} "*) wanted=1 ;; esac
      fi
      if [ -n "$wanted" ] && [ -x "$node" ] && [ -r "$main" ]; then
        find_runc
        export SWARMCUT_RUN="$run" SWARMCUT_RUNC="$runc" SWARMCUT_SERVICE="$service" SWARMCUT_DATA_ROOT="$data_root"
        exec "$node" "$main" shim "$@"
      fi
    fi
    ;;
  kill)
    if [ -n "$id" ] && [ -e "$run/moved/$id" ]; then
      find_runc
      total=$# n=0
      for argument do
        n=$((n + 1))
        [ $n -le $globals ] && set -- "$@" "$argument"
      done
      shift $total
      # Killed while it is still frozen, so that not one more instruction of it runs; then thawed, so that it can die.
      "$runc" "$@" kill "$id" KILL
      code=$?
      "$runc" "$@" resume "$id" >/dev/null 2>&1
      exit $code
    fi
    ;;
  delete)
    if [ -n "$id" ] && { [ -e "$run/restored/$id" ] || [ -e "$run/moved/$id" ] || [ -e "$run/network/$id.json" ]; }; then
      PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
      rm -f "$run/restored/$id" "$run/moved/$id" "$run/network/$id.json"
    fi
    ;;
esac

find_runc
exec "$runc" "$@"
