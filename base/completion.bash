# shellcheck shell=bash disable=SC2154
# What follows is the same for every command; _nsimg_command and _nsimg_commands are made from the command table.

# Candidates of one kind: the name of an argument as the usage has it, or the words it may be.
_nsimg_kind() { # KIND CURRENT DATABASE
	local candidates='' value
	case $1 in
	*DB* | *FILE* | *PATH* | OUT | IMAGE | RULES)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		return
		;;
	*DIR* | *FOLDER*)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
		return
		;;
	ID) candidates=$("$_nsimg_program" images "$3" --no-header --columns id 2>/dev/null) ;;
	TABLE) candidates=$("$_nsimg_program" show "$3" --no-header --columns table 2>/dev/null) ;;
	QUERY) candidates=$("$_nsimg_program" sql --list-named --no-header --columns name 2>/dev/null) ;;
	*)
		for value in ${1//|/ }; do
			[[ $value == [a-z]* ]] && candidates+=" $value"
		done
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$2")
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
	local options='' args='' pending='' database='' dashes='' n=0 i word kinds list
	COMPREPLY=()
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
		fi
	done
	[[ $cur == = ]] && cur=
	if [[ -n $pending ]]; then
		_nsimg_kind "$pending" "$cur" "$database"
	elif [[ $cur == -* && -z $dashes ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' "${list[@]}" | sed -n 's/^\(--[^=]*\).*/\1/p')" -- "$cur")
	else
		read -ra kinds <<<"$args"
		if ((n >= ${#kinds[@]})); then
			[[ $args == *... ]] || return 0
			n=$((${#kinds[@]} - 1))
		fi
		_nsimg_kind "${kinds[n]%...}" "$cur" "$database"
	fi
}

complete -F _nsimg nsimg
