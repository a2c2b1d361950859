# Each stem with its endings, as English mostly has them.
function vowel(letter) { return index("aeiou", letter) > 0 }
{
    stem = $1
    last = substr(stem, length(stem))
    before = substr(stem, length(stem) - 1, 1)
    print stem
    if (last == "y" && !vowel(before)) {
        root = substr(stem, 1, length(stem) - 1)
        print root "ies"; print root "ied"; print root "ier"; print stem "ing"
    } else if (last == "e") {
        root = substr(stem, 1, length(stem) - 1)
        print stem "s"; print stem "d"; print stem "r"; print root "ing"
    } else {
        vowels = gsub(/[aeiou]/, "&", $1)
        doubled = (vowels == 1 && length(stem) <= 4 && vowel(before) && !index("wxy", last)) ? last : ""
        print stem (last ~ /[sxz]/ || stem ~ /[cs]h$/ ? "es" : "s")
        print stem doubled "ed"; print stem doubled "er"; print stem doubled "ing"
    }
}
