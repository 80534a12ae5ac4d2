# SPDX-License-Identifier: GPL-2.0-or-later
# bash completion of harborwall(8)
_harborwall()
{
	local word=${COMP_WORDS[COMP_CWORD]}
	local verbs="run check plan apply rules status doctor clear"
	local flags="--config --json --quiet --verbose --timings --help --version --strict --networks --backend --counters --engine --adopt"
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	--counters) mapfile -t COMPREPLY < <(compgen -W "auto on off" -- "$word"); return ;;
	--backend) mapfile -t COMPREPLY < <(compgen -W "nftables iptables-nft iptables-legacy" -- "$word"); return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
	elif [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$verbs" -- "$word")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$word")
	fi
}
complete -F _harborwall harborwall
