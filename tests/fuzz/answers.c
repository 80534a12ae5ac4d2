/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes as what an engine or iptables-save answers: decoded, or refused with an error that says
 * something. The first byte tells what was asked.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "core/engine/engine.h"
#include "core/foreign/openings.h"
#include "core/foreign/walls.h"
#include "core/iptables/iptables.h"

struct answer {
	struct arena a;
	struct error err;
	const char *bytes;
	size_t len;
};

static bool version(struct answer *r)
{
	struct engine e = {0};

	return engine_decode_version(&e, &r->a, r->bytes, r->len, "", &r->err) &&
	       engine_choose_api(&e, &r->a, "", &r->err);
}

static bool info(struct answer *r)
{
	struct engine e = {0};

	return engine_decode_info(&e, &r->a, r->bytes, r->len, &r->err);
}

static bool networks(struct answer *r)
{
	struct engine e = {0};

	if (!engine_decode_networks(&e, &r->a, r->bytes, r->len, &r->err))
		return false;
	engine_digest(&e);
	list_each (network, &e.networks)
		claim(engine_find_network(&e, network->name));
	return true;
}

static bool containers(struct answer *r)
{
	struct engine e = {0};

	if (!engine_decode_containers(&e, &r->a, r->bytes, r->len, &r->err))
		return false;
	engine_digest(&e);
	list_each (container, &e.containers)
		claim(engine_find_container(&e, container->name));
	return true;
}

static bool inspect(struct answer *r)
{
	struct engine_container c = {.with_settings = true};

	if (!engine_decode_inspect(&c, &r->a, r->bytes, r->len, &r->err))
		return false;
	list_each (e, &c.endpoints) {
		const struct connecting how = {.managed = true, .settings = e->settings};
		struct kept_endpoint kept = {0}, again = {0};
		AUTO_BUF struct buf body = {0};

		claim(engine_take_settings(&kept, e->settings));
		engine_encode_connect(&body, c.id, &how);
		claim(body.len);
		claim(engine_take_settings(&again, buf_text(&body)));
		engine_asked_mac(&c, e, 26);
	}
	return true;
}

static bool network_settings(struct answer *r)
{
	struct kept_network was = {.name = "web"};
	const struct network web = {.name = "web", .driver = "bridge", .bridge_name = "hw-web"};
	AUTO_BUF struct buf as_it_was = {0}, anew = {0};
	struct kept_endpoint any = {0};

	if (!engine_decode_network_settings(&was.settings, &r->a, r->bytes, r->len, &r->err))
		return false;
	engine_encode_network(&as_it_was, NULL, &was, false);
	engine_encode_network(&anew, &web, &was, true);
	claim(engine_take_settings(&any, buf_text(&as_it_was)));
	claim(engine_take_settings(&any, buf_text(&anew)));
	return true;
}

static bool event(struct answer *r)
{
	struct engine_event e = {0};

	return engine_decode_event(&e, &r->a, r->bytes, r->len, &r->err);
}

static bool refusal(struct answer *r)
{
	return engine_decode_error(&r->err, 403, r->bytes, r->len);
}

static bool saved(struct answer *r)
{
	ipt_chains chains = {0};
	const char *text = arena_strndup(&r->a, r->bytes, r->len);

	struct flows flows = {0};

	each_family (family)
		ipt_decode(&chains, &r->a, VARIANT_NFT, family, text);
	ipt_read_flows(&flows, &r->a, &chains);
	return true;
}

static bool walls(struct answer *r)
{
	const struct packet packet = {.proto = 6, .dports = {80, 80}, .in = "eth0"};
	const char *text = arena_strndup(&r->a, r->bytes, r->len);
	const struct managed nothing = {0};
	opening_list open = {0};
	wall_list list = {0};

	openings_find(&open, &r->a, VARIANT_NFT, text, &nothing);
	walls_of_save(&list, VARIANT_NFT, r->len % 2 ? 6 : 4, &r->a, text, text);
	list_each (wall, &list) {
		struct passage p = wall_lets_pass(wall, &packet);

		claim(!p.by || p.passing != PASSES);
	}
	return true;
}

static bool (*const decoders[])(struct answer *) = {
	version, info,	  networks, containers, inspect,
	event,	 refusal, saved,    walls,	network_settings,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer r = {0};
	char *bytes;

	if (!size)
		return 0;
	bytes = own_copy(data + 1, size - 1);
	r.bytes = bytes;
	r.len = size - 1;
	if (!decoders[data[0] % (sizeof(decoders) / sizeof(*decoders))](&r))
		claim(r.err.text[0]);
	arena_release(&r.a);
	free(bytes);
	return 0;
}
