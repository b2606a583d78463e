#!/bin/sh
# Makes a database in /data unless there is one, and becomes its server, as the user postgres.
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
as_postgres='setpriv --reuid=postgres --regid=postgres --init-groups'
chown postgres:postgres /data
chmod 700 /data
if [ ! -s /data/PG_VERSION ]; then
  $as_postgres "$bin/initdb" -D /data -A trust --no-sync >/dev/null
  echo 'host all all 0.0.0.0/0 trust' >>/data/pg_hba.conf
fi
exec $as_postgres "$bin/postgres" -D /data -c listen_addresses=0.0.0.0 -c unix_socket_directories= -c jit=off
