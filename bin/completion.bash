# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion for mq and its tools: one file for all of them.  What can be completed each tool
# tells itself (TOOL --completion prints its option table), so this file names no option.

# What may stand where a value of these kinds is wanted.
_mq_values() {
	local kind tool_spool=()
	[[ -n $_mq_spool ]] && tool_spool=(-S "$_mq_spool")
	for kind in $1; do
		case $kind in
		topic) mq-topic list -q "${tool_spool[@]}" 2>/dev/null ;;
		group) mq-group list -q "${tool_spool[@]}" 2>/dev/null ;;
		file) compgen -f -- "$2" ;;
		dir) compgen -d -- "$2" ;;
		*) printf '%s\n' "$kind" ;;
		esac
	done
	return 0
}

# The tool whose arguments are being typed, the words before the cursor, and the word under it.
_mq_tool() {
	local tool=$1 cur=$2 names wants words='' values='' verbs='' operands='' pairs='' previous='' word verb='' operand='' _mq_spool=''
	shift 2
	for word; do
		[[ $word == -- ]] && { compopt -o default; return; }
		[[ $previous == -S || $previous == --spool ]] && _mq_spool=$word
		[[ $word != -* && -n $verb && $previous != -* ]] && operand=$word
		[[ $word != -* && -z $verb && $previous != -* ]] && verb=$word
		previous=$word
	done
	# bash splits --name=value into three words, and KEY=VALUE, whose value nobody knows here.
	[[ $previous == '=' && $# -gt 1 ]] && previous=${*: -2:1}
	[[ $cur == '=' ]] && cur=''
	[[ ${*: -1} == '=' || ${COMP_WORDS[COMP_CWORD]} == '=' ]] && [[ $previous != -* ]] && return 0
	while IFS=$'\t' read -r names wants; do
		case $names in
		verbs) verbs=${wants#=} ;;
		operands) operands=${wants#=} ;;
		pairs*) [[ " $names " == *" $verb "* ]] && pairs=${wants#=} ;;
		*)
			words+=" $names"
			[[ -n $wants && " $names " == *" $previous "* ]] && values=${wants}
			;;
		esac
	done < <("$tool" --completion 2>/dev/null)
	if [[ -n $values ]]; then
		words=$(_mq_values "${values#=}" "$cur")
	elif [[ $cur != -* ]]; then
		words=$(_mq_values "$operands" "$cur")
		[[ -n $verbs && -z $verb ]] && words=$verbs
		[[ -n $operand && -n $pairs ]] && words=$pairs
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	case ${COMPREPLY[*]} in *[=.]) compopt -o nospace 2>/dev/null ;; esac # a key: its value comes next
	return 0
}

_mq() {
	local cur=${COMP_WORDS[COMP_CWORD]} name=${COMP_WORDS[0]##*/} first=1
	if [[ $name != mq ]]; then
		_mq_tool "${COMP_WORDS[0]}" "$cur" "${COMP_WORDS[@]:1:COMP_CWORD-1}"
	else
		[[ ${COMP_WORDS[1]} == -S && $COMP_CWORD -gt 2 ]] && first=3
		if (( COMP_CWORD == first )) || [[ ${COMP_WORDS[first]} == help ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(mq --completion)" -- "$cur")
		else
			_mq_tool "mq-${COMP_WORDS[first]}" "$cur" "${COMP_WORDS[@]:1:first-1}" "${COMP_WORDS[@]:first+1:COMP_CWORD-first-1}"
		fi
	fi
}

complete -F _mq mq
complete -F _mq -o filenames mq-publish
complete -F _mq mq-consume mq-drain mq-replay mq-retain mq-topic mq-group mq-rebalance mq-check mq-stat mq-bench
