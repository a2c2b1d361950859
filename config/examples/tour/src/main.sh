usage() {
    echo "usage: textstat count|ease FILE..., textstat top N FILE..., textstat unknown FILE..., textstat suggest WORD" >&2
    exit 2
}

words() {
    [ -r "${WORDS:-}" ] || { echo "textstat: WORDS names no word list: make one with make-words" >&2; exit 2; }
    echo "$WORDS"
}

[ $# -ge 2 ] || usage
what=$1
shift
case $what in
count | ease) cat -- "$@" | awk "$(program "$what")" ;;
top)
    most=$1
    shift
    cat -- "$@" | awk "$(program top)" | LC_ALL=C sort -k1,1nr -k2 | head -n "$most"
    ;;
unknown) list=$(words) && cat -- "$@" | awk -v list="$list" "$(program unknown)" ;;
suggest) list=$(words) && awk -v given="$1" "$(program suggest)" "$(dirname "$list")/index" | LC_ALL=C sort ;;
*) usage ;;
esac
