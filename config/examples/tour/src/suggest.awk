# Known words that share a line of the index with the given one: those one letter away, in order.
BEGIN {
    wanted[given] = 1
    for (at = 1; at <= length(given); at++) wanted[substr(given, 1, at - 1) substr(given, at + 1)] = 1
}
($1 in wanted) && !($2 in told) && length($2) - length(given) <= 1 { told[$2] = 1; print $2 }
