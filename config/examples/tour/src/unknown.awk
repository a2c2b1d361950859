# Words that the list does not have, each once, in the order of the text.
BEGIN { while ((getline word < list) > 0) known[word] = 1 }
{
    gsub(/[^A-Za-z']+/, " ")
    for (at = 1; at <= NF; at++) {
        word = tolower($at)
        sub(/'s$/, "", word)
        if (!(word in known) && !(word in told)) { told[word] = 1; print word }
    }
}
