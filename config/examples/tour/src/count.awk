# Lines, words, sentences and letters.
{
    lines++
    sentences += gsub(/[.!?]+/, " ")
    gsub(/[^A-Za-z']+/, " ")
    words += NF
    for (at = 1; at <= NF; at++) letters += length($at)
}
END {
    printf "lines %d\nwords %d\nsentences %d\nletters %d\n", lines, words, sentences, letters
    if (words) printf "letters per word %.1f\n", letters / words
    if (sentences) printf "words per sentence %.1f\n", words / sentences
}
