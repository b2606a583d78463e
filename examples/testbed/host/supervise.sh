#!/bin/sh
# supervise.sh: runs a test bed host's services, the engine and the agent, and starts again what has died.
#
# A service is left alone while /run/testbed/<service>.down exists (a test that wants it dead: touch, then kill).
# Its pid is in /run/testbed/<service>.pid, its output in /var/log/testbed/<service>.log.
# On SIGTERM: stops both services with SIGTERM, waits for them, ends.
set -u
run=/run/testbed
logs=/var/log/testbed
mkdir -p "$run" "$logs"

# supervise NAME COMMAND...
supervise() {
  name=$1
  shift
  child=
  trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null; stopping=1' TERM
  stopping= short=0
  while [ -z "$stopping" ]; do
    if [ -e "$run/$name.down" ]; then
      sleep 0.3
      continue
    fi
    # For tests of faults, which make this folder (src/platform/fail-points.ts).
    if [ -d "$run/failpoints" ]; then export SWARMCUT_FAILPOINTS="$run/failpoints"; else unset SWARMCUT_FAILPOINTS; fi
    started=$(date +%s)
    "$@" >>"$logs/$name.log" 2>&1 &
    child=$!
    echo "$child" >"$run/$name.pid"
    # wait also ends when a signal comes: again, until the child is really gone.
    while kill -0 "$child" 2>/dev/null; do wait "$child"; status=$?; done
    child=
    rm -f "$run/$name.pid"
    echo "testbed: $name ended with status $status at $(date -u +%FT%TZ)" >>"$logs/$name.log"
    if [ $(($(date +%s) - started)) -lt 5 ]; then short=$((short + 1)); else short=0; fi
    # What dies at once, again and again, must not take the machine's cores with its starting.
    if [ -n "$stopping" ]; then
      break
    elif [ "$short" -ge 3 ]; then
      sleep 3
    else
      sleep 0.3
    fi
  done
}

# Registers the shim with the engine, before the engine reads its configuration.
agent install --no-service >>"$logs/install.log" 2>&1 || echo "testbed: agent install failed, see $logs/install.log"

supervise engine dockerd &
services=$!
supervise agent agent run &
services="$services $!"

trap 'kill -TERM $services 2>/dev/null' TERM INT
for service in $services; do
  while kill -0 "$service" 2>/dev/null; do wait "$service"; done
done
