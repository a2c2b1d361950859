# Flesch's reading ease, with syllables guessed from the groups of vowels.
{
    sentences += gsub(/[.!?]+/, " ")
    gsub(/[^A-Za-z]+/, " ")
    for (at = 1; at <= NF; at++) {
        word = tolower($at)
        if (length(word) > 3) sub(/e$/, "", word)
        groups = gsub(/[aeiouy]+/, "-", word)
        syllables += groups ? groups : 1
        words++
    }
}
END {
    if (!words || !sentences) { print "no sentences"; exit 1 }
    ease = 206.835 - 1.015 * words / sentences - 84.6 * syllables / words
    printf "%.1f %s\n", ease, (ease > 80 ? "easy" : (ease > 50 ? "plain" : "hard"))
}
