/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app/cli.h"

#include "app/console/verbs.h"

#include <string.h>

#define BACKENDS "nftables iptables-nft iptables-legacy"

#define MEMBER(name) offsetof(struct options, name)

const struct flag flags[] = {
	{"config", 'c', true, true, "FILE", NULL, MEMBER(config), "networks.json to use"},
	{"json", 'j', false, false, NULL, NULL, MEMBER(json), "print JSON"},
	{"quiet", 'q', true, true, NULL, NULL, MEMBER(quiet), "print errors only"},
	{"verbose", 'v', true, true, NULL, NULL, MEMBER(verbose), "print more"},
	{"color", 'C', false, true, "WHEN", "auto always never", MEMBER(color),
	 "colours on a terminal"},
	{"timings", 't', false, true, NULL, NULL, MEMBER(timings),
	 "how long each stage took, on stderr"},
	{"help", 'h', true, true, NULL, NULL, 0, "print this help; after a verb: help for it"},
	{"version", 'V', false, true, NULL, NULL, 0, "the version"},
	{"strict", 's', false, false, NULL, NULL, MEMBER(strict), "warnings count as errors"},
	{"yes", 'y', true, false, NULL, NULL, MEMBER(yes), "do not ask for confirmation"},
	{"rules", 'R', false, false, NULL, NULL, MEMBER(rules),
	 "also show every change of a rule, and every route"},
	{"dry-run", 'd', false, false, NULL, NULL, MEMBER(dry_run),
	 "only show what would be removed"},
	{"adopt", 'a', false, false, NULL, NULL, MEMBER(adopt),
	 "also remove unmanaged rules that duplicate ours"},
	{"accept", 'A', false, false, "DIGEST", NULL, 0,
	 "accept the file with this digest, whatever it removes"},
	{"replace", 'r', false, false, "NETWORK", NULL, MEMBER(replace),
	 "re-create a network that differs from the file"},
	{"confirm", 'o', false, false, "SECONDS", NULL, 0,
	 "try the file for so long, then go back unless confirmed: yes, no, tests"},
	{"networks", 'n', false, false, NULL, NULL, MEMBER(networks),
	 "also remove our networks, once they are empty"},
	{"container", 'x', false, false, "NAME", NULL, MEMBER(container),
	 "rules of this container's namespace, not the host's"},
	{"backend", 'b', false, false, "NAME", BACKENDS, MEMBER(backend), "firewall backend"},
	{"engine", 'e', false, false, "MAJOR", NULL, 0, "as on this version of Docker"},
	{"counters", 'k', false, false, "WHEN", "auto on off", MEMBER(counters_word),
	 "count what each policy lets through (auto: up to 500 policies)"},
	{"learn", 'L', false, false, "SECONDS", NULL, MEMBER(learn),
	 "watch this long and propose policies for connections between containers"},
	{"policy", 'P', false, false, "NUMBER", NULL, MEMBER(policy),
	 "only connections that this policy admits"},
	{"from", 'F', false, false, "SOURCE", NULL, MEMBER(from), "only connections from there"},
	{"to", 'T', false, false, "DESTINATION", NULL, MEMBER(to), "only connections to there"},
	{"in", 'I', false, false, "INTERFACE", NULL, MEMBER(in),
	 "as if it came in there, wherever its source is at home"},
	{"watch", 'w', false, false, NULL, NULL, MEMBER(watch), "print again every 2 seconds"},
	{"format", 'f', false, false, "NAME", "dot mermaid json", MEMBER(format),
	 "Graphviz' dot (the default), a Mermaid flowchart, or JSON"},
	{"packet", 'p', false, false, NULL, NULL, MEMBER(packet),
	 "also ask the kernel: send one packet and trace it"},
	{"packets", 'K', false, false, NULL, NULL, MEMBER(packets),
	 "ask the kernel, too: send packets, trace them"},
};
const size_t n_flags = COUNT_OF(flags);

const struct verb verbs[] = {
	{"run", verb_run, "", NULL, "k", true, "the daemon: keep the host as the file says",
	 "0 on TERM or INT, 1 if it can't start"},
	{"check", verb_check, "[FILE]", NULL, "js", false,
	 "report what is wrong with the file; change nothing", "0 the file is valid, 1 it is not"},
	{"plan", verb_plan, "[FILE]", NULL, "jRark", true, "show what apply would do, and why",
	 "0 nothing to do, 2 there are changes, 1 an error or conflict"},
	{"apply", verb_apply, "[FILE]", NULL, "yRaArok", true,
	 "one pass: make the host as the file says", "0 the host is as the file says, 1 it is not"},
	{"rules", verb_rules, "[FILE]", NULL, "xbek", false, "print the rules as text",
	 "0 printed, 1 an error"},
	{"diff", verb_diff, "OLD NEW", NULL, "j", false,
	 "report which flows NEW opens and closes, compared with OLD",
	 "0 the same flows, 2 different ones, 1 an error"},
	{"test", verb_test, "[FILE]", NULL, "jK", false, "run the file's own tests",
	 "0 all pass, 2 some fail, 1 an error"},
	{"explain", verb_explain, "SRC DST PORT", NULL, "jepI", false,
	 "say whether this connection would pass, and why",
	 "0 it passes, 2 it does not, 1 an error"},
	{"flows", verb_flows, "", NULL, "jPFTw", true,
	 "show live connections, each with the policy that admits it", "0 shown, 1 an error"},
	{"graph", verb_graph, "[FILE]", NULL, "f", false, "draw who may reach whom",
	 "0 drawn, 1 an error"},
	{"audit", verb_audit, "", NULL, "j", false,
	 "list what \"egress\": \"deny\" would refuse, and the policies that would allow it",
	 "0 nothing would be refused, 2 something would, 1 nobody watches"},
	{"status", verb_status, "", NULL, "j", false, "show what the running daemon sees",
	 "0 healthy, 2 degraded, 1 no daemon answers"},
	{"doctor", verb_doctor, "", NULL, "jk", true,
	 "look for what makes rules ineffective or the host open",
	 "0 fine, 2 findings, 1 an error"},
	{"clear", verb_clear, "", NULL, "ydn", true, "remove our rules, routes and connections",
	 "0 all removed, 1 not all"},
	{"init", verb_init, "", NULL, "L", true, "print a networks.json of what the engine has",
	 "0 printed, 1 an error"},
	{"completion", verb_completion, "SHELL", "bash zsh fish", "", false,
	 "print a script that completes verbs and options", "0"},
	{"help", verb_help, "[VERB]", NULL, "", false, "print this help, or a verb's", "0"},
};
const size_t n_verbs = COUNT_OF(verbs);

const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < n_verbs; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

size_t flag_of(int letter)
{
	size_t i = 0;

	while (i < n_flags && flags[i].letter != letter)
		i++;
	return i;
}

bool verb_has(const struct verb *verb, const struct flag *flag)
{
	return flag->common || strchr(verb->flags, flag->letter);
}

bool next_word(char word[32], const char **at)
{
	size_t len;

	*at += strspn(*at, " ");
	len = strcspn(*at, " ");
	if (!len || len >= 32)
		return false;
	memcpy(word, *at, len);
	word[len] = '\0';
	*at += len;
	return true;
}

uint32_t most_arguments(const struct verb *verb)
{
	const char *at = verb->arguments;
	char word[32];
	uint32_t n = 0;

	while (next_word(word, &at))
		n++;
	return n;
}

uint32_t least_arguments(const struct verb *verb)
{
	return *verb->arguments == '[' ? 0 : most_arguments(verb);
}
