#!/bin/sh
# RabbitMQ with STOMP, all of its state in /data. As root: Debian's own start script changes the user, this one does without it.
set -e
mkdir -p /data/home /data/mnesia /data/log
export HOME=/data/home RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_MNESIA_BASE=/data/mnesia RABBITMQ_LOG_BASE=/data/log
export RABBITMQ_LOGS=- RABBITMQ_ENABLED_PLUGINS_FILE=/data/enabled_plugins RABBITMQ_CONFIG_FILE=/data/rabbitmq.conf
# Schedulers that find no work sleep at once.
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none'
echo '[rabbitmq_stomp].' >/data/enabled_plugins
printf 'loopback_users = none\nstomp.listeners.tcp.1 = 0.0.0.0:61613\nlog.console.level = warning\n' >/data/rabbitmq.conf
exec /usr/lib/rabbitmq/bin/rabbitmq-server
