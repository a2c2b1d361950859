# How often each word stands there; how many are shown is decided behind it.
{
    $0 = tolower($0)
    gsub(/[^a-z']+/, " ")
    for (at = 1; at <= NF; at++) seen[$at]++
}
END { for (word in seen) print seen[word], word }
