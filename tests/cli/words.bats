#!/usr/bin/env bats
# The words of a command line, and where the output goes.

load ../netns/helpers

bats_require_minimum_version 1.5.0

usage() { # TEXT WORDS...
	local text=$1
	shift
	run --separate-stderr "$NSIMG" "$@"
	echo "$*: status $status: $stderr"
	[ "$status" -eq 2 ] && [ -z "$output" ] && [[ $stderr == *"$text"* ]]
}

verbs() { "$NSIMG" help | sed -n 's/^  \([a-z][a-z-]*\)  .*/\1/p'; }

@test "no command, a wrong one, wrong options" {
	usage "no command given"
	usage "no command 'frob'" frob
	usage "did you mean 'tree'" tre
	usage "no command 'frob'" help frob
	usage "no option --frob" tree --frob x.db
	usage "too few arguments; usage: nsimg tree DB" tree
	usage "too few arguments" import x.db
	usage "one argument too many" tree a b
	usage "exclude each other" show x.db devices --json --csv
	usage "is text, json, dot or ip" plan x.db --format frob
}

@test "every command has usage and a page" {
	local v n=0
	for v in $(verbs); do
		run --separate-stderr "$NSIMG" "$v" --help
		[ "$status" -eq 0 ] && [[ $output == "usage: nsimg $v"* ]]
		# also behind words that are wrong or too many
		run --separate-stderr "$NSIMG" "$v" no.db such words in any command -h
		[ "$status" -eq 0 ] && [[ $output == "usage: nsimg $v"* ]]
		run --separate-stderr "$NSIMG" help "$v"
		[ "$status" -eq 0 ] && [ -n "$output" ]
		n=$((n + 1))
	done
	[ $n -ge 15 ]
}

@test "./check and ./demo tell their use, and take no other word for a start" {
	local s
	for s in check demo; do
		run --separate-stderr "$BATS_TEST_DIRNAME/../../$s" --help
		[ "$status" -eq 0 ] && [[ $output == "$s: "* ]] && [[ $output != *set\ -* ]]
		run --separate-stderr "$BATS_TEST_DIRNAME/../../$s" --frob
		[ "$status" -eq 2 ] && [[ $stderr == "$s: '--frob' "* ]]
	done
}

@test "output that cannot be written" {
	local words=(help --version "help tree" "tree --help" check-kernel) w
	if [ -d "$CORPUS/scenario/private-network" ]; then
		"$NSIMG" import "$BATS_TEST_TMPDIR/a.db" "$CORPUS/scenario/private-network"
		for w in images tree sockets plan; do words+=("$w $BATS_TEST_TMPDIR/a.db"); done
		words+=("show $BATS_TEST_TMPDIR/a.db routes --csv" "tree $BATS_TEST_TMPDIR/a.db --json")
	fi
	for w in "${words[@]}"; do
		run bash -c '"$NSIMG" $1 2>&1 >/dev/full' - "$w"
		echo "$w to a full device: status $status: $output"
		[ "$status" -eq 2 ] && [[ $output == *"cannot write the output"* ]]
		run bash -c '"$NSIMG" $1 2>&1 >&-' - "$w"
		echo "$w to a closed one: status $status: $output"
		[ "$status" -eq 2 ] && [[ $output == *"cannot write the output"* ]]
	done
}

@test "closed standard descriptors: nothing that is printed gets into a file" {
	need_corpus scenario/private-network
	"$NSIMG" import "$BATS_TEST_TMPDIR/a.db" "$CORPUS/scenario/private-network"
	bash -c '"$NSIMG" export "$1" "$2" <&- >&- 2>&-' - "$BATS_TEST_TMPDIR/a.db" "$BATS_TEST_TMPDIR/out" || true
	diff -r "$CORPUS/scenario/private-network" "$BATS_TEST_TMPDIR/out"
}

@test "a reader that goes away ends it quietly" {
	need_corpus scenario/nested-veth
	"$NSIMG" import "$BATS_TEST_TMPDIR/a.db" "$CORPUS/scenario/nested-veth"
	run bash -c '"$NSIMG" show "$1" sysctls 2>&1 | head -n 1; exit ${PIPESTATUS[0]}' - "$BATS_TEST_TMPDIR/a.db"
	[ "$status" -eq 141 ] || [ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 1 ]
}
