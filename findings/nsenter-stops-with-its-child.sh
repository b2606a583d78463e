#!/bin/sh
# `nsenter --pid` stops itself when its child is stopped, and stays so when only the
# child is continued: whoever waits for nsenter never hears of the child's end.
#
# Package: Debian util-linux 2.38.1-5+deb12u3, as installed on the machine (the same
#   was seen with 2.41 of Debian 13).
# Expected: a program that is started through nsenter, stopped and continued by its
#   pid, ends, and nsenter ends with its exit code. nsenter(1) says of the fork that
#   --pid makes only that the child is in the namespace.
# What happens: nsenter sees the child stopped and sends SIGSTOP to itself. It waits
#   for a SIGCONT of its own: the child goes on, ends and stays a zombie, and nsenter
#   is in state T until somebody continues it, too.
# Needs: root, or what lets nsenter enter its own pid namespace.
set -eu
nsenter --version | grep -q ' 2\.38\.' || echo "note: seen with util-linux 2.38.1, this is $(nsenter --version)" >&2
state() { sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status"; }
until_state() {
	n=0
	until [ "$(state "$1")" = "$2" ]; do
		n=$((n + 1))
		[ "$n" -lt 500 ] || { echo "process $1 is $(state "$1"), not $2"; exit 1; }
		sleep 0.02
	done
}
nsenter --pid=/proc/self/ns/pid sh -c 'kill -STOP $$; exit 7' &
nsenter=$!
n=0
until child=$(cat "/proc/$nsenter/task/$nsenter/children") && [ "$child" != "" ]; do
	n=$((n + 1))
	[ "$n" -lt 500 ] || exit 1
	sleep 0.02
done
child=${child%% *}
until_state "$child" T
until_state "$nsenter" T
echo "the child is stopped, and so is nsenter"
kill -CONT "$child"
until_state "$child" Z
sleep 1
echo "the child was continued and has ended; nsenter is $(state "$nsenter")"
[ "$(state "$nsenter")" = T ]
kill -CONT "$nsenter"
code=0
wait "$nsenter" || code=$?
echo "nsenter was continued: exit code $code"
[ "$code" = 7 ]
