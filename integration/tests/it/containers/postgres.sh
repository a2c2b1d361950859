#!/bin/sh
# A PostgreSQL as public images have it: made anew with POSTGRES_USER, POSTGRES_PASSWORD and POSTGRES_DB, then served.
set -eu
user=${POSTGRES_USER:-postgres} data=/var/lib/postgresql/data
authenticated=trust
if [ -n "${POSTGRES_PASSWORD:-}" ]; then authenticated=scram-sha-256; fi
echo "${POSTGRES_PASSWORD:-none}" > /tmp/password
initdb --pgdata $data --username "$user" --pwfile /tmp/password --no-sync --locale C --encoding UTF8 \
    --auth-local trust --auth-host $authenticated
echo "host all all all $authenticated" >> $data/pg_hba.conf
name=${POSTGRES_DB:-$user}
[ "$name" = postgres ] || echo "CREATE DATABASE \"$name\"" | postgres --single -D $data postgres
exec postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
