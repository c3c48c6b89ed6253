#!/usr/bin/env bats
# bash completion, driven as bash drives it: COMP_WORDS, COMP_CWORD, and the function that "complete -p" names.

load ../netns/helpers

setup() {
	# shellcheck disable=SC1090
	source <("$NSIMG" completion bash)
	cd "$BATS_TEST_TMPDIR"
	mkdir folder
	touch case.db folder/file
}

# completes "EXPECTED WORDS" WORDS OF THE LINE...: the last one is being typed.
completes() {
	local expected=$1 function
	shift
	function=$(complete -p nsimg | sed 's/.*-F \([^ ]*\).*/\1/')
	COMP_WORDS=("$NSIMG" "$@")
	COMP_CWORD=$#
	COMPREPLY=()
	"$function" nsimg "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" || true
	echo "$*: '${COMPREPLY[*]}', expected '$expected'"
	[ "${COMPREPLY[*]}" = "$expected" ]
}

@test "completion: commands, options, values, files" {
	completes "sockets" so
	completes "sockets show sql set" s
	completes "sockets" help so
	completes "" frob ""
	completes "--format" plan case.db --fo
	completes "text" plan case.db --format te
	completes "dot" plan case.db --format = do
	completes "text json dot ip" plan case.db --format = =
	completes "dot mermaid svg json" graph case.db -f ""
	completes "--no-header" sockets case.db --no
	completes "" sockets case.db -- --no
	completes "case.db" tree ca
	completes "folder" import case.db fo
	completes "folder/file" import case.db folder folder/fi
	completes "folder" sql case.db --queries ""
	completes "" tree case.db ""
	completes "address" add case.db ad
	completes "bash" completion ""
	completes "routes" show case.db rou
	completes "beacons" sql case.db --named bea
}

@test "completion: numbers of images" {
	need_corpus scenario/private-network
	"$NSIMG" import --again images.db "$CORPUS/scenario/private-network"{,} >/dev/null
	completes "1 2" tree images.db --image ""
	completes "2" tree images.db -i 2
}
