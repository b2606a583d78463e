#!/bin/sh
# Makes a database in /data unless there is one, and becomes its server, as the user mysql.
set -e
mkdir -p /run/mysqld
chown mysql:mysql /data /run/mysqld
if [ ! -d /data/mysql ]; then
  mariadb-install-db --user=mysql --datadir=/data --auth-root-authentication-method=normal --skip-test-db >/dev/null
fi
# A statement a line.
cat >/run/mysqld/init.sql <<'SQL'
create user if not exists root@'%';
grant all on *.* to root@'%';
create database if not exists bank;
SQL
exec setpriv --reuid=mysql --regid=mysql --init-groups mariadbd --datadir=/data --bind-address=0.0.0.0 \
  --skip-name-resolve --init-file=/run/mysqld/init.sql --innodb-buffer-pool-size=32M --socket=/run/mysqld/mysqld.sock
