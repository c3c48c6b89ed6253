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

@test "completion: what the database has: namespaces, devices, columns, words of filters, codes, kinds" {
	need_corpus scenario/nested-veth
	"$NSIMG" import db.db "$CORPUS/scenario/nested-veth" >/dev/null
	completes "ns10 ns11 ns12 ns9" tree db.db --netns ""
	completes "ns9" externalize db.db ns9
	completes "ns9/va ns9/vb ns9/vc" remac db.db ns9/v
	completes "netns netns_id" show db.db devices ne
	completes "name,netns name,netns_id" show db.db devices -o name,ne
	completes "+peer +peer_ino +peer_name" sockets db.db -o +pe
	completes "listening" sockets db.db state li
	completes "netns netid name not" sockets db.db state listening and n
	completes "ns9" sockets db.db netns = ns9
	completes "inet inet6" sockets db.db family in
	completes "bridge-mac" check db.db bridge-
	completes "device" set db.db dev
	completes "sysctl" drop db.db sy
	completes "tc" drop db.db tc
	completes "" drop db.db ta
	completes "tc task thread tcp_stream tun_file" set db.db t
	completes "device netns" rename db.db ""
	completes "ns9/va ns9/vb ns9/vc" rename db.db device ns9/v
	completes "ns9" rename db.db netns ns9
	completes "bridge-mac" fix db.db bridge
	completes "" fix db.db bind-
	completes "all" fix db.db a
	completes "--version" --v
	# a name of an image is never run
	sqlite3 db.db "UPDATE edit_state SET importing = 1, op = -1; UPDATE netns SET name = '\$(touch pwned)' WHERE name = 'ns9'"
	completes '\$\(touch\ pwned\)' tree db.db --netns '$'
	[ ! -e pwned ]
	# every word of a filter that is offered is one
	for word in $(_nsimg_program=$NSIMG database=db.db _nsimg_filter ""); do
		case $word in and | or) continue ;; esac
		run "$NSIMG" sockets db.db "$word"
		[[ $output != *"is not known"* ]] || { echo "$output"; return 1; }
	done
	for word in $(_nsimg_program=$NSIMG _nsimg_filter state); do "$NSIMG" sockets db.db state "$word" >/dev/null; done
}
