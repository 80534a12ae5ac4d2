/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decodes a Docker engine's answers. Tables say which member goes where (answer.h has the types);
 * the functions here do what a table can't. encode.c makes the requests.
 */
#include "core/engine/engine.h"

#include "core/config/drivers.h"
#include "core/engine/answer.h"
#include "core/engine/settings.h"

#include <stdlib.h>
#include <string.h>

enum { API_OLDEST = 40, API_NEWEST = 55 }; /* minor of 1.x: the range we tested */

static const struct answer_field version_fields[] = {
	{"Version", ANSWER_TEXT, offsetof(struct engine, version)},
	{"ApiVersion", ANSWER_TEXT, offsetof(struct engine, api_max)},
	{"MinAPIVersion", ANSWER_TEXT, offsetof(struct engine, api_min)},
};

struct info {
	const char *id, *driver;
};

static const struct answer_field info_fields[] = {
	{"ID", ANSWER_TEXT, offsetof(struct info, id)},
	{"FirewallBackend.Driver", ANSWER_TEXT, offsetof(struct info, driver)},
};

static const struct answer_field network_fields[] = {
	{"Id", ANSWER_TEXT, offsetof(struct engine_network, id)},
	{"Name", ANSWER_TEXT, offsetof(struct engine_network, name)},
	{"Driver", ANSWER_TEXT, offsetof(struct engine_network, driver)},
	{"Internal", ANSWER_FLAG, offsetof(struct engine_network, internal)},
	{"EnableIPv6", ANSWER_FLAG, offsetof(struct engine_network, ipv6)},
};

static const struct answer_field ipam_fields[] = {
	{"Subnet", ANSWER_PREFIX, offsetof(struct ipam, subnet)},
	{"IPRange", ANSWER_PREFIX, offsetof(struct ipam, ip_range)},
	{"Gateway", ANSWER_ADDRESS, offsetof(struct ipam, gateway)},
};

static const struct answer_field endpoint_fields[] = {
	{"NetworkID", ANSWER_TEXT, offsetof(struct engine_endpoint, network_id)},
	{"IPAddress", ANSWER_ADDRESS, offsetof(struct engine_endpoint, ip)},
	{"Gateway", ANSWER_ADDRESS, offsetof(struct engine_endpoint, gateway)},
	{"GlobalIPv6Address", ANSWER_ADDRESS, offsetof(struct engine_endpoint, ip6)},
	{"IPv6Gateway", ANSWER_ADDRESS, offsetof(struct engine_endpoint, gateway6)},
	{"MacAddress", ANSWER_TEXT, offsetof(struct engine_endpoint, mac)},
	{"IPAMConfig.IPv4Address", ANSWER_ADDRESS, offsetof(struct engine_endpoint, configured)},
	{"IPAMConfig.IPv6Address", ANSWER_ADDRESS, offsetof(struct engine_endpoint, configured6)},
};

struct listed_port {
	const char *type;
	uint16_t port; /* of the host; 0: it is exposed alone */
};

static const struct answer_field port_fields[] = {
	{"PublicPort", ANSWER_PORT, offsetof(struct listed_port, port)},
	{"Type", ANSWER_TEXT, offsetof(struct listed_port, type)},
};

struct listed {
	const char *id, *network_mode, *state;
};

static const struct answer_field listed_fields[] = {
	{"Id", ANSWER_TEXT, offsetof(struct listed, id)},
	{"HostConfig.NetworkMode", ANSWER_TEXT, offsetof(struct listed, network_mode)},
	{"State", ANSWER_TEXT, offsetof(struct listed, state)},
};

struct inspected {
	const char *id, *name, *network_mode, *sandbox_key, *mac;
	bool running, restarting;
	int pid;
};

static const struct answer_field inspected_fields[] = {
	{"Id", ANSWER_TEXT, offsetof(struct inspected, id)},
	{"Name", ANSWER_TEXT, offsetof(struct inspected, name)},
	{"State.Running", ANSWER_FLAG, offsetof(struct inspected, running)},
	{"State.Restarting", ANSWER_FLAG, offsetof(struct inspected, restarting)},
	{"State.Pid", ANSWER_PID, offsetof(struct inspected, pid)},
	{"HostConfig.NetworkMode", ANSWER_TEXT, offsetof(struct inspected, network_mode)},
	{"NetworkSettings.SandboxKey", ANSWER_TEXT, offsetof(struct inspected, sandbox_key)},
	{"Config.MacAddress", ANSWER_TEXT, offsetof(struct inspected, mac)},
};

static const struct answer_field event_fields[] = {
	{"Type", ANSWER_TEXT, offsetof(struct engine_event, type)},
	{"Action", ANSWER_TEXT, offsetof(struct engine_event, action)},
	{"Actor.ID", ANSWER_TEXT, offsetof(struct engine_event, id)},
	{"Actor.Attributes.name", ANSWER_TEXT, offsetof(struct engine_event, name)},
	{"Actor.Attributes.container", ANSWER_TEXT, offsetof(struct engine_event, container)},
};

bool engine_decode_version(struct engine *e, struct arena *a, const char *json, size_t len,
			   const char *server_header, struct error *err)
{
	AUTO_ANSWER struct answer answer;
	char *minor;

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_OBJECT, err) ||
	    !ANSWER_DECODE(e, &answer, JSON_ROOT, version_fields))
		return error_wrap(err, "version");
	e->api = NULL;
	e->major = (uint32_t)(strtoul(e->version, &minor, 10) % UINT32_MAX);
	e->minor = *minor == '.' ? (uint32_t)(strtoul(minor + 1, NULL, 10) % UINT32_MAX) : 0;
	e->libpod = server_header && !strncasecmp(server_header, "Libpod", strlen("Libpod"));
	return true;
}

/* The minor version of "1.41", -1 for anything else. */
static int api_minor(const char *text)
{
	size_t len;

	if (strncmp(text, "1.", 2) != 0)
		return -1;
	len = strspn(text + 2, "0123456789");
	return len < 1 || len > 3 || text[2 + len] ? -1 : atoi(text + 2);
}

static bool choose_wanted(struct engine *e, struct arena *a, const char *wanted, int oldest,
			  int newest, struct error *err)
{
	int minor = api_minor(wanted + (wanted[0] == 'v'));

	if (minor < 0)
		return error_set(err, -1, "API version \"%.20s\" is not of the form 1.41", wanted);
	if (minor < API_OLDEST || minor > API_NEWEST)
		return error_set(err, -1, "API version 1.%d is not supported (1.%d to 1.%d)", minor,
				 API_OLDEST, API_NEWEST);
	if (minor < oldest || minor > newest)
		return error_set(err, -1,
				 "the engine does not support API version 1.%d (1.%d to 1.%d)",
				 minor, oldest, newest);
	e->api = arena_printf(a, "1.%d", minor);
	return true;
}

bool engine_choose_api(struct engine *e, struct arena *a, const char *wanted, struct error *err)
{
	int newest = api_minor(e->api_max), oldest = api_minor(e->api_min);

	if (newest < 0)
		return error_set(err, -1, "the engine names no valid API version");
	if (newest < API_OLDEST)
		return error_set(err, -1,
				 "the engine is too old: it speaks API 1.%d at most, 1.%d is "
				 "needed; use Docker 20.10 or newer",
				 newest, API_OLDEST);
	if (oldest > API_NEWEST)
		return error_set(err, -1,
				 "the engine is too new: it speaks API 1.%d at least, ours is 1.%d",
				 oldest, API_NEWEST);
	if (wanted && *wanted)
		return choose_wanted(e, a, wanted, oldest, newest, err);
	e->api = arena_printf(a, "1.%d", newest < API_NEWEST ? newest : API_NEWEST);
	return true;
}

/*
 * Measured: 20 gives the container's MAC address to its first network whenever that is connected;
 * 26 and 28 ignore one at connect, and 29.4 takes it.
 */
bool engine_keeps_mac(const struct engine *e)
{
	enum { WITH_OWN = 25, TAKES_IT = 29, SINCE = 4 };

	return e->major < WITH_OWN || e->major > TAKES_IT ||
	       (e->major == TAKES_IT && e->minor >= SINCE);
}

/* Docker before 28 uses the next free number: what was eth0 comes back as eth1, until a restart. */
bool engine_keeps_interface_name(const struct engine *e)
{
	enum { SINCE = 28 };

	return e->major >= SINCE;
}

static const struct backend {
	const char *driver; /* /info FirewallBackend.Driver */
	enum docker_firewall firewall;
	bool firewalld;
} backends[] = {
	{"iptables", DOCKER_FIREWALL_IPTABLES, false},
	{"iptables+firewalld", DOCKER_FIREWALL_IPTABLES, true},
	{"nftables", DOCKER_FIREWALL_NFTABLES, false},
	{"nftables+firewalld", DOCKER_FIREWALL_NFTABLES, true},
};

bool engine_decode_info(struct engine *e, struct arena *a, const char *json, size_t len,
			struct error *err)
{
	AUTO_ANSWER struct answer answer;
	struct info info = {0};

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_OBJECT, err) ||
	    !ANSWER_DECODE(&info, &answer, JSON_ROOT, info_fields))
		return false;
	e->id = info.id;
	e->firewall = DOCKER_FIREWALL_UNKNOWN;
	e->firewalld = false;
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		if (strcmp(info.driver, backends[i].driver) != 0)
			continue;
		e->firewall = backends[i].firewall;
		e->firewalld = backends[i].firewalld;
	}
	return true;
}

static bool decode_pairs(pair_list *pairs, const struct answer *answer, uint32_t network,
			 const char *path)
{
	const struct json *json = &answer->json;
	uint32_t object;

	if (!answer_find(&object, answer, network, path, JSON_TYPE_OBJECT))
		return false;
	if (object == JSON_ROOT)
		return true;
	json_each_member (key, json, object) {
		struct pair pair;

		if (!answer_text(&pair.name, answer, key) ||
		    !answer_text(&pair.value, answer, key + 1))
			return false;
		*list_add(answer->a, pairs) = pair;
	}
	return true;
}

/*
 * The first entry of each family. They stand in any order; 26 puts one of IPv6 first that was sent
 * alone.
 */
static bool decode_pools(struct engine_network *n, const struct answer *answer, uint32_t network)
{
	uint32_t list;

	if (!answer_find(&list, answer, network, "IPAM.Config", JSON_TYPE_LIST))
		return false;
	if (list == JSON_ROOT)
		return true;
	json_each (item, &answer->json, list) {
		struct ipam ipam = {0}, *first;

		if (!ANSWER_DECODE(&ipam, answer, item, ipam_fields))
			return false;
		if (!ipam.subnet.ip.family)
			continue;
		*list_add(answer->a, &n->subnets) = ipam.subnet;
		first = &n->ipam[ip_family(ipam.subnet.ip)];
		if (!first->subnet.ip.family)
			*first = ipam;
	}
	return true;
}

static bool is_interface_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > 15 || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (const char *c = name; *c; c++)
		if (*c <= ' ' || *c > '~' || *c == '/' || *c == ':')
			return false;
	return true;
}

/* The name of a network's interface, from its option or its id. */
static const char *bridge_of(struct arena *a, const struct engine_network *n)
{
	const char *name = engine_network_option(n, "com.docker.network.bridge.name");

	if (strcmp(n->driver, "bridge") != 0)
		return NULL;
	if (!*name)
		name = strcmp(engine_network_option(n, "com.docker.network.bridge.default_bridge"),
			      "true")
			       ? arena_printf(a, "br-%.12s", n->id)
			       : "docker0";
	return is_interface_name(name) ? name : NULL;
}

static bool decode_network(struct engine_network *n, const struct answer *answer, uint32_t network)
{
	const char *mark;

	if (!ANSWER_DECODE(n, answer, network, network_fields))
		return false;
	if (!*n->id || !*n->name)
		return answer_wrong(answer, network, "no %s", *n->id ? "Name" : "Id");
	if (!decode_pools(n, answer, network) ||
	    !decode_pairs(&n->labels, answer, network, "Labels") ||
	    !decode_pairs(&n->options, answer, network, "Options"))
		return false;
	mark = pair_value(&n->labels, MANAGED_LABEL);
	n->managed = mark && !strcmp(mark, "1");
	n->bridge = bridge_of(answer->a, n);
	n->apart = n->bridge && options_keep_apart(&n->options);
	return true;
}

static int network_order(const void *left, const void *right)
{
	const struct engine_network *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->id, b->id);
}

bool engine_decode_networks(struct engine *e, struct arena *a, const char *json, size_t len,
			    struct error *err)
{
	AUTO_ANSWER struct answer answer;

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_LIST, err))
		return false;
	e->networks.n = 0;
	json_each (item, &answer.json, JSON_ROOT)
		if (!decode_network(list_add(a, &e->networks), &answer, item))
			return false;
	if (e->networks.n)
		qsort(e->networks.items, e->networks.n, sizeof(*e->networks.items), network_order);
	hash_index_names(&e->networks_by_name, a, &e->networks);
	return true;
}

static bool decode_endpoint(struct engine_endpoint *endpoint, const struct answer *answer,
			    uint32_t key, const struct engine_container *c)
{
	const struct json *json = &answer->json;
	uint32_t object = key + 1, options, mark;

	if (!answer_text(&endpoint->network, answer, key) ||
	    !ANSWER_DECODE(endpoint, answer, object, endpoint_fields) ||
	    !answer_find(&options, answer, object, "DriverOpts", JSON_TYPE_OBJECT))
		return false;
	mark = options == JSON_ROOT ? JSON_ROOT : json_member(json, options, MANAGED_LABEL);
	endpoint->managed = mark != JSON_ROOT && json_string_is(json, mark, "1", 1);
	if (c->with_settings)
		endpoint->settings = settings_of_endpoint(answer, object, endpoint, c);
	return true;
}

static bool decode_endpoints(struct engine_container *c, const struct answer *answer,
			     uint32_t container)
{
	uint32_t networks;

	if (!answer_find(&networks, answer, container, "NetworkSettings.Networks",
			 JSON_TYPE_OBJECT))
		return false;
	c->endpoints.n = 0;
	if (networks == JSON_ROOT)
		return true;
	json_each_member (key, &answer->json, networks)
		if (!decode_endpoint(list_add(answer->a, &c->endpoints), answer, key, c))
			return false;
	return true;
}

/* Names has "/other/alias" for each link to the container; its own name has only one slash. */
static bool decode_names(const char **name, const struct answer *answer, uint32_t container)
{
	uint32_t names;

	*name = "";
	if (!answer_find(&names, answer, container, "Names", JSON_TYPE_LIST))
		return false;
	if (names == JSON_ROOT)
		return true;
	json_each (item, &answer->json, names) {
		const char *text;

		if (!answer_text(&text, answer, item))
			return false;
		text += *text == '/';
		if (!**name && !strchr(text, '/'))
			*name = text;
	}
	return true;
}

static bool decode_published(struct engine_container *c, const struct answer *answer,
			     uint32_t container)
{
	uint32_t ports;

	if (!answer_find(&ports, answer, container, "Ports", JSON_TYPE_LIST))
		return false;
	if (ports == JSON_ROOT)
		return true;
	json_each (item, &answer->json, ports) {
		struct listed_port listed = {0};

		if (!ANSWER_DECODE(&listed, answer, item, port_fields))
			return false;
		if (listed.port)
			*list_add(answer->a, &c->published) = (struct engine_published){
				listed.port, protocol_number(listed.type)};
	}
	return true;
}

static bool decode_container(struct engine_container *c, const struct answer *answer,
			     uint32_t container)
{
	struct listed listed = {0};

	if (!ANSWER_DECODE(&listed, answer, container, listed_fields) ||
	    !decode_names(&c->name, answer, container))
		return false;
	if (!*listed.id)
		return answer_wrong(answer, container, "no Id");
	if (!*c->name) /* a container that is being removed may have no name left */
		c->name = listed.id;
	c->id = listed.id;
	c->network_mode = listed.network_mode;
	c->running = !strcmp(listed.state, "running") || !strcmp(listed.state, "paused");
	c->restarting = !strcmp(listed.state, "restarting");
	c->sandbox_key = "";
	return decode_published(c, answer, container) && decode_endpoints(c, answer, container);
}

static int container_order(const void *left, const void *right)
{
	const struct engine_container *a = left, *b = right;
	int order = strcmp(a->name, b->name);

	return order ? order : strcmp(a->id, b->id);
}

bool engine_decode_containers(struct engine *e, struct arena *a, const char *json, size_t len,
			      struct error *err)
{
	AUTO_ANSWER struct answer answer;

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_LIST, err))
		return false;
	e->containers.n = 0;
	json_each (item, &answer.json, JSON_ROOT)
		if (!decode_container(list_add(a, &e->containers), &answer, item))
			return false;
	if (e->containers.n)
		qsort(e->containers.items, e->containers.n, sizeof(*e->containers.items),
		      container_order);
	hash_index_names(&e->containers_by_name, a, &e->containers);
	return true;
}

bool engine_decode_inspect(struct engine_container *c, struct arena *a, const char *json,
			   size_t len, struct error *err)
{
	AUTO_ANSWER struct answer answer;
	struct inspected seen = {0};

	if (!answer_parse(&answer, a, json, len, JSON_TYPE_OBJECT, err) ||
	    !ANSWER_DECODE(&seen, &answer, JSON_ROOT, inspected_fields))
		return false;
	if (!c->id)
		c->id = seen.id;
	if (!c->name)
		c->name = seen.name + (*seen.name == '/');
	c->network_mode = seen.network_mode;
	c->mac = seen.mac;
	c->inspected = true;
	if (!decode_endpoints(c, &answer, JSON_ROOT))
		return false;
	/* Between two attempts Docker reports both Running and Restarting, with process id 0. */
	c->restarting = seen.restarting;
	c->running = seen.running && seen.pid > 0 && !seen.restarting;
	c->pid = c->running ? seen.pid : 0;
	c->sandbox_key = seen.sandbox_key;
	return true;
}

bool engine_decode_event(struct engine_event *event, struct arena *a, const char *json, size_t len,
			 struct error *err)
{
	AUTO_ANSWER struct answer answer;

	*event = (struct engine_event){0};
	if (!answer_parse(&answer, a, json, len, JSON_TYPE_OBJECT, err) ||
	    !ANSWER_DECODE(event, &answer, JSON_ROOT, event_fields))
		return error_wrap(err, "event");
	if (!*event->type || !*event->action)
		return error_set(err, -1, "event: no %s", *event->type ? "Action" : "Type");
	return true;
}

bool engine_shares_namespace(const struct engine_container *c)
{
	const char *mode = c->network_mode ? c->network_mode : "";

	return !strcmp(mode, "host") || !strncmp(mode, "container:", 10) ||
	       engine_find_endpoint(c, "host");
}
