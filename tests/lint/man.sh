#!/usr/bin/env bash
# Each command has a manual page, each of its options appears there, and man(1) reads it without a warning.
# The command table is asked through the program, so that it cannot drift.
cd "$(dirname "$0")/../.." || exit 2
nsimg=${NSIMG:-}
for build in asan release debug; do
	[ -z "$nsimg" ] && [ -x build/$build/nsimg ] && nsimg=build/$build/nsimg
done
[ -x "$nsimg" ] || { echo "skipped: no program is built"; exit 0; }
bad=0
say() { echo "$1"; bad=1; }

check_page() {
	local warnings=""
	command -v groff >/dev/null && warnings=$(groff -man -Tutf8 -ww -z "$1" 2>&1)
	command -v man >/dev/null &&
		warnings+=$(MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings -l "$1" 2>&1 >/dev/null)
	[ -z "$warnings" ] || say "$1: $warnings"
	# a request is one only at the start of a line
	! grep -nE '^[^.\\].* \.(B|I|BR|RB|IR|RI|BI|IB|TP|PP) ' "$1" || say "$1: a request inside a line"
}

for cmd in $("$nsimg" help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do
	page=doc/nsimg-$cmd.1
	[ -f "$page" ] || { say "$cmd has no $page"; continue; }
	check_page "$page"
	grep -q "^\.BR nsimg-$cmd (1)\|nsimg-$cmd" doc/nsimg.1 || say "doc/nsimg.1 does not name nsimg-$cmd"
	for opt in $("$nsimg" "$cmd" --help | sed -n 's/^  \(-., \)\{0,1\}--\([a-z0-9-]*\).*/\2/p'); do
		sed 's/\\-/-/g; s/\\f.//g' "$page" | grep -q -- "--$opt\b" || say "$page does not explain --$opt"
	done
done
check_page doc/nsimg.1

# the completion knows each command and option
"$nsimg" completion bash >"${TMPDIR:-/tmp}/nsimg-completion.$$" || bad=1
for cmd in $("$nsimg" help | sed -n 's/^  \([a-z-]*\)  .*/\1/p'); do
	# shellcheck disable=SC2016
	known=" $(bash -c 'source "$1"; _nsimg_command "$2" && echo "$options"' - \
		"${TMPDIR:-/tmp}/nsimg-completion.$$" "$cmd") "
	for opt in $("$nsimg" "$cmd" --help | sed -n 's/^  \(-., \)\{0,1\}--\([a-z0-9-]*\).*/\2/p'); do
		[[ $known == *" --$opt "* || $known == *" --$opt="* ]] || say "completion does not know $cmd --$opt"
	done
done
rm -f "${TMPDIR:-/tmp}/nsimg-completion.$$"
check_page doc/nsimg-rules.5

# doc/volatile.md and the table say the same
while IFS=$'\t' read -r where; do
	grep -qF "| \`$where\` |" doc/volatile.md || say "doc/volatile.md does not list $where"
done < <(sed -n 's/^\t{"\([a-z_]*\)", \(NULL\|"[^"]*"\), \(NULL\|"[^"]*"\),.*/\1 \2 \3/p' inspect/diff_ignored.c |
	sed 's/ NULL//g; s/"//g; s/ /./g')
exit $bad
