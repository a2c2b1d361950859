# One line for each thing that is done: its name, whether it went well, how long it took; its output only where it did not.

# step NAME COMMAND…
step() {
  local name=$1 output began=$SECONDS status=0
  shift
  output=$(mktemp)
  [ -t 1 ] && printf '%-28s …' "$name"
  "$@" >"$output" 2>&1 || status=$?
  [ -t 1 ] && printf '\r'
  if [ "$status" = 0 ]; then
    printf '%-28s ok      %4ds\n' "$name" "$((SECONDS - began))"
  else
    printf '%-28s FAILED  %4ds  (exit status %d)\n' "$name" "$((SECONDS - began))" "$status"
    cat "$output"
  fi
  rm -f "$output"
  return "$status"
}
