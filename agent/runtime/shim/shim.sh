#!/bin/sh
# swarmcut's OCI runtime: the engine calls it in place of runc, with runc's arguments (`agent install` sees to that).
#
# It becomes runc at once, without starting any process (but one `sed` at `start` where there is an agent), unless one of these holds:
#   create  an agent expects this container's service: the agent decides, through `agent shim` (agent/runtime/shim/client.ts)
#   start   the container was restored by `create` and runs already; or it is to have a sidecar, which the agent starts first
#           (agent/runtime/shim/start.ts, which then becomes runc, with a sidecar or without); or it has a label of ours: then its programs get TCP
#           where they ask for Multipath TCP (as all that Go 1.24 and later has built do when they listen), which CRIU cannot save
#   kill    the container takes part in an operation that is not decided: waits for that. Then, if the container has moved away, what is
#           left of it here is ended at once
#   exec    the container stands still: waits for the same; a probe of the engine's health check that would wait for too long, or for ever since the
#           container has moved away, gets the last result again
#   delete  our marks for the container, and what the agent remembers of its network, are removed first
#
# Markers, all made by the agent (agent/runtime/shim/expectations.ts) or `agent shim`:
#   <run>/expect/<service>   <run>/restored/<container>   <run>/moved/<container>   <run>/sidecar/<service>
#   <run>/still/<container> (agent/runtime/shim/standstills.ts): line 1: until when it holds, in seconds of /proc/uptime, the exit code of the last
#   probe, and "decided" if it stays frozen until it is ended, or "runs" if it runs on and only stops wait; line 2: how a probe's arguments stand in its process file, empty if there is no health check
# Also the agent's: <run>/network/<container>.json (agent/network/network-memory.ts), <run>/at-start/<container>/start.sh (agent/surroundings).
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

# True while the agent keeps this container standing still. Sets now, probe_code, decided and probe_args. By uptime, which the shell reads without a
# process, and which no change of the clock moves: the mark of an agent that has died does not hold for ever.
stands_still() {
  [ -e "$run/still/$id" ] || return 1
  { read -r until probe_code decided && IFS= read -r probe_args; } 2>/dev/null <"$run/still/$id" || return 1
  read -r now _ </proc/uptime
  now=${now%.*}
  [ "$now" -lt "$until" ]
}

# The name that the agent sees (agent/runtime/docker/probes.ts).
call_itself() {
  printf %s "$1" 2>/dev/null >/proc/$$/comm
}

# Waits for the decision. $1: "kill_patience" or "probe_patience". At most 130 s for a kill: so long engine and Swarm were seen to take it well. At
# most 20 s for an exec: after 30 s the engine calls a check failed that has not begun.
wait_while_still() {
  PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin} kill_patience=130 probe_patience=20
  call_itself shim.sh
  [ -r "$run/shim.conf" ] && . "$run/shim.conf"
  case $1 in kill_patience) patience=$kill_patience ;; *) patience=$probe_patience ;; esac
  read -r began _ </proc/uptime
  while stands_still && [ "$decided" != decided ] && [ $((now - ${began%.*})) -lt "$patience" ]; do sleep 0.1; done
}

# A probe of the engine's health check. Whoever runs the same command by hand, detached, is taken for one.
is_probe() {
  [ -n "$probe_args" ] && [ -n "$detached" ] && [ -n "$pid_file" ] && [ -z "$console" ] && [ -r "$process" ] || return 1
  IFS= read -r process_text <"$process"
  case $process_text in *"$probe_args"*) return 0 ;; esac
  return 1
}

# A process stands for the probe that cannot run now, and ends as the last one did. Not before this shim, whose parent, the engine's, inherits it then,
# and a little later: an end that comes before its beginning has been noted is lost, and the check fails.
answer_probe() {
  (
    while read -r _ _ _ parent _ </proc/self/stat && [ "$parent" = $$ ]; do sleep 0.05; done
    sleep 0.2
    exit "$probe_code"
  ) </dev/null >/dev/null 2>&1 &
  printf %s "$!" >"$pid_file"
}

# The network namespace of the created container says that there is no Multipath TCP, and programs fall back to TCP by themselves. Before the first
# instruction; never in the node's own namespace.
without_mptcp() {
  [ -e /proc/sys/net/mptcp/enabled ] || return
  created=$(sed -n 's/.*"init_process_pid":\([0-9]*\).*/\1/p' "$root/$id/state.json" 2>/dev/null)
  [ -n "$created" ] && [ -e "/proc/$created/ns/net" ] && ! [ "/proc/$created/ns/net" -ef /proc/self/ns/net ] || return
  nsenter --net="/proc/$created/ns/net" sh -c 'echo 0 >/proc/sys/net/mptcp/enabled' 2>/dev/null
}

# Reads runc's command line: sets command, id (first operand), root, log, process, pid_file, console and detached (not empty: given), and globals (how many
# arguments stand before the command).
parse() {
  command='' id='' root=/run/runc log='' globals=0 process='' pid_file='' console='' detached=''
  take=''
  for argument do
    if [ -n "$take" ]; then
      case $take in
        root) root=$argument ;;
        log) log=$argument ;;
        process) process=$argument ;;
        pid_file) pid_file=$argument ;;
      esac
      take=''
      [ -n "$command" ] || globals=$((globals + 1))
      continue
    fi
    if [ -z "$command" ]; then
      case $argument in
        --log=*) log=${argument#--log=} ;;
        --log) take=log ;;
        --root=*) root=${argument#--root=} ;;
        --root) take=root ;;
        --log-format | --criu | --rootless) take=value ;;
        -*) ;;
        *) command=$argument && continue ;;
      esac
      globals=$((globals + 1))
    else
      case $argument in
        --process=*) process=${argument#--process=} ;;
        --process | -p) take=process ;;
        --pid-file=*) pid_file=${argument#--pid-file=} ;;
        --pid-file) take=pid_file ;;
        --console-socket=*) console=1 ;;
        --console-socket) console=1 take=value ;;
        --detach | -d) detached=1 ;;
        --bundle | -b | --pidfd-socket | --preserve-fds) take=value ;;
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
    if [ -n "$id" ] && [ -e "$run/restored/$id" ]; then
      # The engine has written the container's files for the last time: those of the cut take their place (agent/surroundings/engine-files.ts).
      [ -r "$run/at-start/$id/start.sh" ] && PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin} /bin/sh "$run/at-start/$id/start.sh" >/dev/null 2>&1
      exit 0
    fi
    if [ -n "$id" ] && [ -d "$run/sidecar" ] && [ -r "$run/shim.conf" ]; then
      PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin} node='' main='' data_root=/var/lib/docker sidecar_algorithms=''
      . "$run/shim.conf"
      # Words: the service; the algorithm that its containers' labels declare; what they say of Multipath TCP; whether there is any label of ours.
      declared=$(sed -n -e 'h' -e 's/.*"com\.docker\.swarm\.service\.name":"\([^"\\/ ]*\)".*/\1/p' \
        -e 'g' -e 's/.*"swarmcut\.algorithm":"\([^"\\ ]*\)".*/=\1/p' -e 'g' -e 's/.*"swarmcut\.mptcp":"\([^"\\ ]*\)".*/%\1/p' \
        -e 'g' -e 's/.*"swarmcut\.[a-z-]*":".*/+/p' "$data_root/containers/$id/config.v2.json" 2>/dev/null)
      service='' algorithm='' mptcp='' ours=''
      for word in $declared; do
        case $word in
          =*) algorithm=${word#=} ;;
          %*) mptcp=${word#%} ;;
          +) ours=1 ;;
          *) service=$word ;;
        esac
      done
      if [ -n "$ours" ] && [ "$mptcp" != keep ]; then without_mptcp; fi
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
  exec)
    # Before it looks for the mark: the agent looks for us after it has set the mark, so one of the two always sees the other.
    call_itself runc
    if [ -n "$id" ] && [ -e "$run/still/$id" ] && stands_still && [ "$decided" != runs ]; then
      wait_while_still probe_patience
      if stands_still && is_probe; then
        answer_probe
        exit 0
      fi
    fi
    ;;
  kill)
    # Held, and never answered falsely: the engine would kill past us. What was decided meanwhile says what it does.
    if [ -n "$id" ] && [ -e "$run/still/$id" ]; then wait_while_still kill_patience; fi
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
    for note in "restored/$id" "moved/$id" "still/$id" "network/$id.json" "at-start/$id" "deadman/$id.log"; do
      # Starting a program takes longer than the looks at what there seldom is.
      [ -n "$id" ] && [ -e "$run/$note" ] || continue
      PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}
      rm -rf "$run/$note"
    done
    ;;
esac

find_runc
exec "$runc" "$@"
