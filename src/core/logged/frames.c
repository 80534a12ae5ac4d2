/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "core/logged/frames.h"

#include "base/hash.h"

#include <netinet/in.h>
#include <string.h>

enum { FIRST_EPHEMERAL = 32768 }; /* Linux: net.ipv4.ip_local_port_range */

/* The same for both directions. */
static uint64_t talk_hash(const struct logged *l)
{
	const uint64_t ends = hash_more(HASH_START, &l->src, sizeof(l->src)) ^
			      hash_more(HASH_START, &l->dst, sizeof(l->dst));

	return hash_word(hash_word(ends, (uint64_t)(l->sport ^ l->port)), l->proto);
}

static bool is_talk(const struct talk *talk, const struct logged *l)
{
	return talk->proto == l->proto && talk->sport == l->sport && talk->port == l->port &&
	       ip_equal(talk->src, l->src) && ip_equal(talk->dst, l->dst);
}

static void turn(struct logged *l)
{
	const struct logged was = *l;

	l->src = was.dst;
	l->dst = was.src;
	l->sport = was.port;
	l->port = was.sport;
}

bool frames_begin(struct frames *frames, struct logged *logged, time_t now)
{
	struct talk *talk = &frames->talks[talk_hash(logged) % FRAMES_TALKS];
	struct logged back = *logged;
	bool known, answers;

	turn(&back);
	/* of ICMP only echo requests are reported, and both ends may send some */
	answers = logged->proto != IPPROTO_ICMP && is_talk(talk, &back);
	known = (answers || is_talk(talk, logged)) && now - talk->last < FRAMES_LIVE;
	if (known) {
		talk->last = now;
		return false;
	}
	if (answers || (logged->sport < FIRST_EPHEMERAL && logged->port >= FIRST_EPHEMERAL))
		*logged = back;
	*talk = (struct talk){logged->src,  logged->dst,   logged->sport,
			      logged->port, logged->proto, now};
	return true;
}

static struct logged question_of(const struct logged *l)
{
	return (struct logged){.src = l->src, .dst = l->dst, .proto = l->proto, .port = l->port};
}

static uint32_t place_of(const struct logged *l)
{
	uint64_t hash = hash_more(HASH_START, &l->src, sizeof(l->src));

	hash = hash_more(hash, &l->dst, sizeof(l->dst));
	return hash_word(hash_word(hash, l->port), l->proto) % FRAMES_ALLOWED;
}

bool frames_were_allowed(const struct frames *frames, const struct logged *logged)
{
	const struct logged *known = &frames->allowed[place_of(logged)];

	return known->src.family && known->proto == logged->proto && known->port == logged->port &&
	       ip_equal(known->src, logged->src) && ip_equal(known->dst, logged->dst);
}

void frames_note_allowed(struct frames *frames, const struct logged *logged)
{
	frames->allowed[place_of(logged)] = question_of(logged);
}

bool frames_may_check(struct frames *frames, const struct logged *logged, uint32_t n_policies,
		      time_t now)
{
	const uint64_t hash = hash_more(HASH_START, &logged->src, sizeof(logged->src));
	uint32_t *checks = &frames->checks[hash % AUDIT_SHARES];

	if (frames->second != now) {
		frames->second = now;
		memset(frames->checks, 0, sizeof(frames->checks));
	}
	if (*checks >= FRAMES_CHECKS)
		return false;
	*checks += n_policies + 1;
	return true;
}
