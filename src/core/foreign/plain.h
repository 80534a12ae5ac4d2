/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A rule of somebody else's, as far as it says plain things: addresses, interfaces, protocol,
 * ports, connection states, marks, and a verdict. What is not understood narrows the rule (`more`):
 * it matches no packet that the rest of it does not match. Read from a line of iptables-save or
 * from nf_tables expressions (foreign/plain_nft.c), and compared with what is known of a flow.
 * Pure.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "core/ruleset/ruleset.h"

struct span {
	uint16_t low, high; /* inclusive */
};

enum { MAX_SPANS = 15 };    /* of -m multiport */
enum { MAX_RULES = 20000 }; /* of a chain; longer ones are not read */

/* Conditions of a rule that are negated. */
enum {
	NOT_IN = 1,
	NOT_OUT = 2,
	NOT_SRC = 4,
	NOT_DST = 8,
	NOT_PROTO = 16,
	NOT_DPORT = 32,
};

enum { STATE_DNAT = 1 << 7 }; /* beside CT_*: as iptables' --ctstate DNAT */

#define ANYTHING "*" /* an unknown verdict */

struct plain {
	const char *target; /* ACCEPT, DROP, REJECT, RETURN, ANYTHING, a chain; "": no verdict */
	bool goes;	    /* goto: the chain does not return */
	bool more;	    /* it has conditions that we do not decode */
	bool extra;	    /* its target has options that we do not decode */
	uint8_t family;	    /* 4 or 6: it matches nothing of the other one; 0: of both */
	bool never;	    /* it matches no packet at all */
	bool commented, ours;
	uint8_t nots;
	const char *in, *out;	/* "eth0", "br-+"; NULL: any */
	struct prefix src, dst; /* family 0: any */
	uint8_t proto;		/* 0: any */
	uint8_t n_dports;
	bool first_only;   /* only TCP packets that open a connection */
	uint16_t states;   /* matches any of these; 0: all */
	struct span sport; /* high 0: any port */
	struct span dports[MAX_SPANS];
	uint32_t mark, mark_mask;	/* mask 0: any */
	uint32_t ct_mark, ct_mark_mask; /* the same for the connection's mark */
	struct ip to;			/* target of a DNAT; family 0: none */
	uint16_t to_port;
	const char *text; /* the line it was read from; NULL: not from a line */
};
typedef LIST(struct plain) plain_list;

/* The chains of one table that were read. */
struct plain_chain {
	const char *name;
	bool drops; /* policy of a base chain */
	plain_list rules;
};
typedef LIST(struct plain_chain) plain_chains;

const struct plain_chain *plain_find_chain(const plain_chains *chains, const char *name);

/* Parses a line of iptables-save, "-A CHAIN …". False: another kind of line. */
MUST_CHECK bool plain_parse(struct plain *p, const char **chain, struct arena *a, const char *line,
			    size_t len);
/* Parses one table of iptables-save. */
void plain_parse_table(plain_chains *chains, struct arena *a, const char *save, const char *table);
/*
 * A rule of nf_tables, and a table of it: of iptables-nft's, or of any other. family: the table's,
 * NFPROTO_*.
 */
struct plain plain_of_rule(const struct rule *rule, struct arena *a, uint8_t family);
void plain_of_chain(plain_chains *chains, struct arena *a, const struct chain *chain,
		    uint8_t family);
void plain_of_table(plain_chains *chains, struct arena *a, const struct ruleset *table);
/* "-A CHAIN -s 192.0.2.2/32 -j DROP", as iptables-save prints it. */
const char *plain_text(const struct plain *p, const char *chain, struct arena *a);

/* The rule has no conditions but its table's family. */
bool plain_matches_everything(const struct plain *p);

/* What is known, at some place, of the first packet of a flow or of its reply. */
struct packet {
	uint8_t family; /* 4, 6; 0: not known */
	bool reply;
	struct prefix src, dst; /* family 0: any, or not known */
	uint8_t proto;		/* 0: any */
	struct span dports;
	const char *in, *out; /* NULL: not known */
	bool dnat;	      /* it was translated */
	uint32_t mark;	      /* mark bits that are set */
	uint32_t ct_mark;     /* the same of its connection */
};

/* How many of such packets a rule matches. */
enum matched {
	MATCHES_NONE,
	MATCHES_SOME, /* some, or unknown */
	MATCHES_MOST, /* all but a few, or all that arrive by its interface */
	MATCHES_ALL,
};
enum matched plain_matches(const struct plain *p, const struct packet *packet);
