#!/bin/sh
# NAME looks for its files in the account's home, and this task has a home of its own.
set -f
IFS=:
for directory in $PATH; do
  if [ "$directory" != 'PROGRAMS' ] && [ -x "$directory/NAME" ]; then
    exec "$directory/NAME" -F 'PROGRAMS/config' "$@"
  fi
done
echo 'NAME is not installed where this job runs: install an OpenSSH client there' >&2
exit 127
