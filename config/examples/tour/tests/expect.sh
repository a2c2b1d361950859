# What tests say. TEXTSTAT and WORDS name the program and the word list.
: "${TEXTSTAT:?names no program: build it first}"

# expect EXPECTED ACTUAL
expect() {
    [ "$1" = "$2" ] || { printf 'expected: %s\n but got: %s\n' "$1" "$2"; exit 1; }
}

# expect_status STATUS COMMAND...
expect_status() {
    expected=$1
    shift
    status=0
    "$@" > /dev/null 2>&1 || status=$?
    expect "$expected" "$status"
}

skip() {
    echo "$*"
    exit 77
}

# some_text SEED WORDS: a text that is the same every time.
some_text() {
    awk -v seed="$1" -v words="$2" 'BEGIN {
        srand(seed)
        for (n = 1; n <= words; n++) {
            word = ""
            for (letters = 1 + int(rand() * 8); letters > 0; letters--) word = word substr("etaoinshrdlu", 1 + int(rand() * 12), 1)
            printf "%s%s", word, n % 9 ? " " : ".\n"
        }
        print "end."
    }'
}
