# Every word with any one letter missing, and the word: two words one letter apart share such a line.
{
    print $1, $1
    for (at = 1; at <= length($1); at++)
        print substr($1, 1, at - 1) substr($1, at + 1), $1
}
