# shellcheck shell=bash disable=SC2154
# What follows is the same for every command; _nsimg_command and _nsimg_commands are made from the command table.

# Those of the lines on standard input that begin so go to COMPREPLY. Not by compgen -W, which expands what it is given:
# names come out of images, and may hold $(...).
_nsimg_among() { # CURRENT [BEFORE: what stands before each]
	local line
	while IFS= read -r line; do
		[[ -n $line && ${2-}$line == "$1"* ]] || continue
		printf -v line %q "$line"
		COMPREPLY+=("${2-}$line")
	done
}

# The words that an error message of the program lists: "...; there are: a, b, c", "...; what can: a, b, c".
_nsimg_there_are() { # WORDS...
	"$_nsimg_program" "$@" 2>&1 >/dev/null | sed -n 's/.*there are:\{0,1\} //p; s/.*; what can: //p' | sed 's/, /\n/g'
}

_nsimg_column() { # TABLE COLUMNS: what the database has there
	"$_nsimg_program" show "$database" "$1" --csv --no-header --columns "$2" 2>/dev/null | tr -d '\r' | sort -u
}

# What may follow in a filter of sockets, by the word before.
_nsimg_filter() { # BEFORE
	case $1 in
	state | exclude | excl)
		printf '%s\n' established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait unconnected close-wait last-ack \
			listening closing all connected synchronized bucket big
		;;
	family) printf '%s\n' inet inet6 unix netlink packet vsock xdp ;;
	netns) _nsimg_column namespaces netns ;;
	dev) _nsimg_column devices name ;;
	comm) _nsimg_column tasks comm ;;
	pid) _nsimg_column tasks pid ;;
	*)
		_nsimg_there_are sockets "$database" '?'
		printf '%s\n' and or not
		;;
	esac
}

# Candidates of one kind: the name of an argument as the usage has it, or the words it may be.
# database, table, command, before (the word before, operators left out) are those of _nsimg.
_nsimg_kind() { # KIND CURRENT
	local start
	case $1 in
	*DB* | *FILE* | *PATH* | OUT | IMAGE | RULES)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	*DIR* | *FOLDER*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
		;;
	ID) _nsimg_among "$2" < <("$_nsimg_program" images "$database" --no-header --columns id 2>/dev/null) ;;
	TABLE) _nsimg_among "$2" < <("$_nsimg_program" show "$database" --no-header --columns table 2>/dev/null) ;;
	QUERY) _nsimg_among "$2" < <("$_nsimg_program" sql --list-named --no-header --columns name 2>/dev/null) ;;
	NETNS | NAME) _nsimg_among "$2" < <(_nsimg_column namespaces netns) ;;
	*/OLD)
		if [[ $before == netns ]]; then _nsimg_kind NETNS "$2"; else _nsimg_kind DEVICE "$2"; fi
		;;
	*DEVICE) _nsimg_among "$2" < <(_nsimg_column devices netns,name | tr , /) ;;
	CODE*)
		_nsimg_among "$2" < <(
			_nsimg_there_are "$command" "$database" '?'
			[[ $1 != *'|all' ]] || echo all
		)
		;;
	OBJECT)
		if [[ $command == drop ]]; then
			_nsimg_among "$2" < <(_nsimg_there_are drop "$database" --image all --dry-run image all)
			return
		fi
		_nsimg_among "$2" < <(_nsimg_there_are "$command" "$database" '?' mtu=1 --dry-run) ;;
	FILTER) _nsimg_among "$2" < <(_nsimg_filter "$before") ;;
	WHERE) _nsimg_among "$2" < <(_nsimg_there_are show "$database" "$table" 0 --columns '?') ;;
	COLUMNS)
		start=${2%"${2##*[,+]}"}
		case $command in
		show) _nsimg_among "$2" "$start" < <(_nsimg_there_are show "$database" "$table" 0 --columns '?') ;;
		sockets | images | log) _nsimg_among "$2" "$start" < <(_nsimg_there_are "$command" "$database" --columns '?') ;;
		esac
		;;
	*) _nsimg_among "$2" < <(tr '|' '\n' <<<"$1" | grep '^[a-z]') ;;
	esac
	return 0
}

# The kind of an option's argument, nothing for a switch.
_nsimg_option_kind() { # OPTION OPTIONS...
	local word=$1 option
	shift
	for option; do
		[[ $option == "$word="* ]] && echo "${option#*=}"
	done
}

_nsimg() {
	local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} _nsimg_program=${COMP_WORDS[0]}
	local options='' args='' pending='' database='' table='' before='' dashes='' n=0 i word kinds list
	COMPREPLY=()
	if ((COMP_CWORD == 1)) && [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--help --version" -- "$cur")
		return
	fi
	if ((COMP_CWORD == 1)) || { ((COMP_CWORD == 2)) && [[ $command == help ]]; }; then
		mapfile -t COMPREPLY < <(compgen -W "$_nsimg_commands" -- "$cur")
		return
	fi
	_nsimg_command "$command" || return
	read -ra list <<<"$options"
	# "--format=text" comes as three words
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == = ]]; then
			continue
		elif [[ -n $pending ]]; then
			pending=
		elif [[ $word == -- ]]; then
			dashes=1
		elif [[ $word == -* && -z $dashes ]]; then
			pending=$(_nsimg_option_kind "$word" "${list[@]}")
		else
			n=$((n + 1))
			[[ $n == 1 ]] && database=$word
			[[ $n == 2 ]] && table=$word
			[[ $word == [=!\<\>]* ]] || before=$word
		fi
	done
	[[ $cur == = ]] && cur=
	if [[ -n $pending ]]; then
		_nsimg_kind "$pending" "$cur"
	elif [[ $cur == -* && -z $dashes ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' "${list[@]}" | sed -n 's/^\(--[^=]*\).*/\1/p')" -- "$cur")
	else
		read -ra kinds <<<"$args"
		if ((n >= ${#kinds[@]})); then
			# conditions and filters go on
			[[ $args == *... || ${kinds[-1]} == WHERE || ${kinds[-1]} == FILTER ]] || return 0
			n=$((${#kinds[@]} - 1))
		fi
		_nsimg_kind "${kinds[n]%...}" "$cur"
	fi
}

complete -F _nsimg nsimg
