/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of iptables-save, word by word. */
#include "core/foreign/plain.h"

#include "core/foreign/foreign.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORD = 128 };

struct reader {
	struct plain *p;
	struct arena *a;
	const char *at, *end;
	const char *chain;
	const char *module;  /* of the last -m */
	bool negated;	     /* "!" stood before the option */
	bool done;	     /* what follows belongs to the target */
	char word[MAX_WORD]; /* the value that is being read */
};

/* The next word, without its quotes; false at the end. What is too long is cut. */
static bool next_word(struct reader *r)
{
	size_t n = 0;
	bool quoted;

	while (r->at < r->end && *r->at == ' ')
		r->at++;
	if (r->at == r->end)
		return false;
	quoted = *r->at == '"';
	for (r->at += quoted; r->at < r->end && *r->at != (quoted ? '"' : ' '); r->at++) {
		if (quoted && *r->at == '\\' && r->at + 1 < r->end)
			r->at++;
		if (n < sizeof(r->word) - 1)
			r->word[n++] = *r->at;
	}
	r->at += quoted && r->at < r->end;
	r->word[n] = '\0';
	return true;
}

/* --- one option each; false: not understood --- */

static bool take_chain(struct reader *r)
{
	r->chain = arena_strdup(r->a, r->word);
	return true;
}

static bool negate(struct reader *r, unsigned bit)
{
	r->p->nots = (uint8_t)(r->p->nots | (r->negated ? bit : 0));
	return true;
}

static bool take_in(struct reader *r)
{
	r->p->in = arena_strdup(r->a, r->word);
	return negate(r, NOT_IN);
}

static bool take_out(struct reader *r)
{
	r->p->out = arena_strdup(r->a, r->word);
	return negate(r, NOT_OUT);
}

static bool take_src(struct reader *r)
{
	return prefix_parse(&r->p->src, r->word) && negate(r, NOT_SRC);
}

static bool take_dst(struct reader *r)
{
	return prefix_parse(&r->p->dst, r->word) && negate(r, NOT_DST);
}

static bool take_proto(struct reader *r)
{
	char *end;
	unsigned long number = strtoul(r->word, &end, 10);

	r->p->proto = protocol_number(r->word);
	if (!strcmp(r->word, "ipv6-icmp") || !strcmp(r->word, "icmpv6"))
		r->p->proto = IPPROTO_ICMPV6;
	if (!r->p->proto && !*end && number <= UINT8_MAX)
		r->p->proto = (uint8_t)number;
	return r->p->proto && negate(r, NOT_PROTO);
}

/* "80" or "80:90" */
static bool read_span(struct span *span, const char **text)
{
	char *end;
	unsigned long low = strtoul(*text, &end, 10), high = low;

	if (end == *text)
		return false;
	if (*end == ':')
		high = strtoul(end + 1, &end, 10);
	*text = end;
	*span = (struct span){(uint16_t)low, (uint16_t)high};
	return low <= high && high <= UINT16_MAX;
}

static bool take_sport(struct reader *r)
{
	const char *rest = r->word;

	return !r->negated && read_span(&r->p->sport, &rest) && !*rest;
}

static bool take_dports(struct reader *r)
{
	const char *rest = r->word;

	for (;; rest++) {
		if (r->p->n_dports == MAX_SPANS || !read_span(&r->p->dports[r->p->n_dports], &rest))
			return false;
		r->p->n_dports++;
		if (!*rest)
			return negate(r, NOT_DPORT);
		if (*rest != ',')
			return false;
	}
}

static bool take_module(struct reader *r)
{
	static const char *const known[] = {"tcp",	 "udp",	 "sctp",     "state",  "conntrack",
					    "multiport", "mark", "connmark", "comment"};

	r->module = "";
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (!strcmp(known[i], r->word))
			r->module = known[i];
	return *r->module;
}

static bool take_states(struct reader *r)
{
	static const struct {
		const char *name;
		uint16_t bit;
	} known[] = {{"INVALID", CT_INVALID}, {"NEW", CT_NEW},
		     {"RELATED", CT_RELATED}, {"ESTABLISHED", CT_ESTABLISHED},
		     {"DNAT", STATE_DNAT},    {"UNTRACKED", CT_UNTRACKED}};
	char *rest = NULL;

	for (char *w = strtok_r(r->word, ",", &rest); w; w = strtok_r(NULL, ",", &rest)) {
		uint16_t bit = 0;

		for (size_t i = 0; i < COUNT_OF(known); i++)
			if (!strcmp(known[i].name, w))
				bit = known[i].bit;
		if (!bit)
			return false;
		r->p->states |= bit;
	}
	return !r->negated;
}

/* --syn, as it is printed. */
static bool take_flags(struct reader *r)
{
	bool all = !strcmp(r->word, "FIN,SYN,RST,ACK");

	if (!next_word(r))
		return false;
	r->p->first_only = all && !strcmp(r->word, "SYN") && !r->negated;
	return r->p->first_only;
}

static bool take_mark(struct reader *r)
{
	bool of_connection = !strcmp(r->module, "connmark");
	char *end;
	uint32_t mark = (uint32_t)strtoul(r->word, &end, 0), mask = UINT32_MAX;

	if (*end == '/')
		mask = (uint32_t)strtoul(end + 1, &end, 0);
	*(of_connection ? &r->p->ct_mark : &r->p->mark) = mark;
	*(of_connection ? &r->p->ct_mark_mask : &r->p->mark_mask) = mask;
	return !*end && !r->negated;
}

static bool take_comment(struct reader *r)
{
	r->p->commented = true;
	r->p->ours = !strncmp(r->word, OUR_MARKER, strlen(OUR_MARKER));
	return true;
}

static bool take_target(struct reader *r)
{
	r->p->target = arena_strdup(r->a, r->word);
	r->done = true;
	return true;
}

static bool take_goto(struct reader *r)
{
	r->p->goes = true;
	return take_target(r);
}

/* ADDRESS, ADDRESS:PORT, or of IPv6 with a port [ADDRESS]:PORT */
static bool take_to(struct reader *r)
{
	bool bracketed = *r->word == '[';
	char *address = r->word + bracketed;
	char *colon = strchr(r->word, ':');
	unsigned long port = 0;
	char *end = NULL;

	if (bracketed) {
		colon = strchr(r->word, ']');
		if (!colon)
			return false;
		*colon = '\0';
		colon = colon[1] == ':' ? colon + 1 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		colon = NULL; /* IPv6 without a port */
	}

	if (colon) {
		*colon = '\0';
		port = strtoul(colon + 1, &end, 10);
		if (*end || !port || port > UINT16_MAX)
			return false;
	}
	r->p->to_port = (uint16_t)port;
	return ip_parse(&r->p->to, address);
}

static const struct {
	const char *name;
	bool (*take)(struct reader *r);
} options[] = {
	{"-A", take_chain},
	{"-i", take_in},
	{"-o", take_out},
	{"-s", take_src},
	{"-d", take_dst},
	{"-p", take_proto},
	{"--sport", take_sport},
	{"--dport", take_dports},
	{"--dports", take_dports},
	{"-m", take_module},
	{"--state", take_states},
	{"--ctstate", take_states},
	{"--tcp-flags", take_flags},
	{"--mark", take_mark},
	{"--comment", take_comment},
	{"-j", take_target},
	{"-g", take_goto},
	{"--to-destination", take_to},
};

/* What follows the target narrows nothing. */
static void take_option(struct reader *r)
{
	size_t i = 0;

	while (i < COUNT_OF(options) && strcmp(options[i].name, r->word) != 0)
		i++;
	if (i < COUNT_OF(options) && next_word(r) && options[i].take(r))
		return;
	*(r->done ? &r->p->extra : &r->p->more) = true;
}

bool plain_parse(struct plain *p, const char **chain, struct arena *a, const char *line, size_t len)
{
	struct reader r = {.p = p, .a = a, .at = line, .end = line + len, .module = ""};

	*p = (struct plain){.target = ""};
	if (len < 3 || memcmp(line, "-A ", 3) != 0)
		return false;
	while (next_word(&r)) {
		if (!strcmp(r.word, "!")) {
			r.negated = true;
			continue;
		}
		take_option(&r);
		r.negated = false;
	}
	p->text = arena_strndup(a, line, len);
	*chain = r.chain;
	return *chain != NULL;
}

/* ":FORWARD DROP [0:0]" */
static void declare(plain_chains *chains, struct arena *a, const char *line, size_t len)
{
	const char *blank = memchr(line, ' ', len);
	size_t name = blank ? (size_t)(blank - line) : len;

	*list_add(a, chains) = (struct plain_chain){.name = arena_strndup(a, line + 1, name - 1),
						    .drops = blank && len - name > 4 &&
							     !memcmp(blank, " DROP", 5)};
}

/* The lines of one chain stand together. */
static struct plain_chain *find_again(plain_chains *chains, struct plain_chain *last,
				      const char *name)
{
	if (last && !strcmp(last->name, name))
		return last;
	list_each (chain, chains)
		if (!strcmp(chain->name, name))
			return chain;
	return NULL;
}

void plain_parse_table(plain_chains *chains, struct arena *a, const char *save, const char *table)
{
	struct plain_chain *chain = NULL;
	bool here = true;

	while (*save) {
		size_t len = strcspn(save, "\n");
		const char *name;
		struct plain p;

		if (*save == '*') {
			here = len == strlen(table) + 1 && !memcmp(save + 1, table, len - 1);
		} else if (here && *save == ':') {
			declare(chains, a, save, len);
		} else if (here && plain_parse(&p, &name, a, save, len)) {
			chain = find_again(chains, chain, name);
			if (chain && chain->rules.n < MAX_RULES)
				*list_add(a, &chain->rules) = p;
		}
		save += len + (save[len] == '\n');
	}
}
