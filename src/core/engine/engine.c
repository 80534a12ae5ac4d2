/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Decodes what a Docker engine answers. Tables say which member goes where (json.h has the
 * types); here is only what a table can't say. Request bodies are made in encode.c.
 */
#include "core/engine/engine.h"
#include "core/config/drivers.h"
#include "core/engine/json.h"

#include <stdlib.h>
#include <string.h>

enum { API_OLDEST = 40, API_NEWEST = 55 }; /* minor of 1.x: what we were tested with */

static const struct json_field version_fields[] = {
	{"Version", JSON_KIND_TEXT, offsetof(struct engine, version)},
	{"ApiVersion", JSON_KIND_TEXT, offsetof(struct engine, api_max)},
	{"MinAPIVersion", JSON_KIND_TEXT, offsetof(struct engine, api_min)},
};

static const struct json_field info_fields[] = {
	{"ID", JSON_KIND_TEXT, offsetof(struct engine, id)},
};

static const struct json_field network_fields[] = {
	{"Id", JSON_KIND_TEXT, offsetof(struct engine_network, id)},
	{"Name", JSON_KIND_TEXT, offsetof(struct engine_network, name)},
	{"Driver", JSON_KIND_TEXT, offsetof(struct engine_network, driver)},
	{"Internal", JSON_KIND_FLAG, offsetof(struct engine_network, internal)},
};

struct pool {
	struct prefix subnet, ip_range;
	struct ip gateway;
};

static const struct json_field pool_fields[] = {
	{"Subnet", JSON_KIND_PREFIX, offsetof(struct pool, subnet)},
	{"IPRange", JSON_KIND_PREFIX, offsetof(struct pool, ip_range)},
	{"Gateway", JSON_KIND_ADDRESS, offsetof(struct pool, gateway)},
};

static const struct json_field endpoint_fields[] = {
	{"NetworkID", JSON_KIND_TEXT, offsetof(struct engine_endpoint, network_id)},
	{"IPAddress", JSON_KIND_ADDRESS, offsetof(struct engine_endpoint, ip)},
	{"IPPrefixLen", JSON_KIND_BITS, offsetof(struct engine_endpoint, prefix_len)},
	{"Gateway", JSON_KIND_ADDRESS, offsetof(struct engine_endpoint, gateway)},
	{"IPAMConfig.IPv4Address", JSON_KIND_ADDRESS, offsetof(struct engine_endpoint, configured)},
};

static const struct json_field listed_fields[] = {
	{"Id", JSON_KIND_TEXT, offsetof(struct engine_container, id)},
	{"HostConfig.NetworkMode", JSON_KIND_TEXT, offsetof(struct engine_container, network_mode)},
};

struct inspected {
	const char *id, *name, *network_mode, *sandbox_key;
	bool running, restarting;
	int pid;
};

static const struct json_field inspected_fields[] = {
	{"Id", JSON_KIND_TEXT, offsetof(struct inspected, id)},
	{"Name", JSON_KIND_TEXT, offsetof(struct inspected, name)},
	{"State.Running", JSON_KIND_FLAG, offsetof(struct inspected, running)},
	{"State.Restarting", JSON_KIND_FLAG, offsetof(struct inspected, restarting)},
	{"State.Pid", JSON_KIND_PID, offsetof(struct inspected, pid)},
	{"HostConfig.NetworkMode", JSON_KIND_TEXT, offsetof(struct inspected, network_mode)},
	{"NetworkSettings.SandboxKey", JSON_KIND_TEXT, offsetof(struct inspected, sandbox_key)},
};

static const struct json_field event_fields[] = {
	{"Type", JSON_KIND_TEXT, offsetof(struct engine_event, type)},
	{"Action", JSON_KIND_TEXT, offsetof(struct engine_event, action)},
	{"Actor.ID", JSON_KIND_TEXT, offsetof(struct engine_event, id)},
	{"Actor.Attributes.name", JSON_KIND_TEXT, offsetof(struct engine_event, name)},
	{"Actor.Attributes.container", JSON_KIND_TEXT, offsetof(struct engine_event, container)},
};

bool engine_decode_version(struct engine *e, struct arena *a, const char *json, size_t len,
			   const char *server_header, struct error *err)
{
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_OBJECT, err);

	if (!root || !JSON_DECODE(e, a, root, version_fields, err))
		return error_wrap(err, "version");
	e->api = NULL;
	e->major = (uint32_t)(strtoul(e->version, NULL, 10) % UINT32_MAX);
	e->libpod = server_header && !strncasecmp(server_header, "Libpod", strlen("Libpod"));
	return true;
}

/* The minor of "1.41", -1 for anything else. */
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
		return error_set(err, -1, "API version 1.%d is none of ours (1.%d to 1.%d)", minor,
				 API_OLDEST, API_NEWEST);
	if (minor < oldest || minor > newest)
		return error_set(err, -1, "API version 1.%d is none of the engine's (1.%d to 1.%d)",
				 minor, oldest, newest);
	e->api = arena_printf(a, "1.%d", minor);
	return true;
}

bool engine_choose_api(struct engine *e, struct arena *a, const char *wanted, struct error *err)
{
	int newest = api_minor(e->api_max), oldest = api_minor(e->api_min);

	if (newest < 0)
		return error_set(err, -1, "the engine names no API version that makes sense");
	if (newest < API_OLDEST)
		return error_set(
			err, -1,
			"the engine is too old: it speaks API 1.%d at most, 1.%d is needed; "
			"use Docker 20.10 or newer",
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
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_OBJECT, err);
	const char *driver;
	json_t *value;

	if (!root || !JSON_DECODE(e, a, root, info_fields, err) ||
	    !json_look_up(&value, root, "FirewallBackend.Driver", err))
		return error_wrap(err, "info");
	if (!json_store_text(&driver, a, value))
		return error_set(err, -1, "info: FirewallBackend.Driver is not a text");
	e->firewall = DOCKER_FIREWALL_UNKNOWN;
	e->firewalld = false;
	for (size_t i = 0; i < COUNT_OF(backends); i++) {
		if (strcmp(driver, backends[i].driver) != 0)
			continue;
		e->firewall = backends[i].firewall;
		e->firewalld = backends[i].firewalld;
	}
	return true;
}

static const char *pair_value(const pair_list *pairs, const char *name)
{
	list_each (pair, pairs)
		if (!strcmp(pair->name, name))
			return pair->value;
	return "";
}

static bool decode_pairs(pair_list *pairs, struct arena *a, json_t *network, const char *path,
			 struct error *err)
{
	json_t *object, *value;
	const char *name;

	if (!json_find(&object, network, path, JSON_OBJECT, err))
		return false;
	json_object_foreach (object, name, value) {
		if (!json_is_string(value))
			return error_set(err, -1, "%s.%s is not a text", path, name);
		*list_add(a, pairs) = (struct pair){arena_strdup(a, name),
						    arena_strdup(a, json_string_value(value))};
	}
	return true;
}

static bool decode_pools(struct engine_network *n, struct arena *a, json_t *network,
			 struct error *err)
{
	json_t *array, *item;
	size_t i;

	if (!json_find(&array, network, "IPAM.Config", JSON_ARRAY, err))
		return false;
	json_array_foreach (array, i, item) {
		struct pool pool = {0};

		if (!JSON_DECODE(&pool, a, item, pool_fields, err))
			return error_wrap(err, "IPAM.Config[%zu]", i);
		if (!pool.subnet.ip.family)
			continue;
		*list_add(a, &n->subnets) = pool.subnet;
		if (pool.subnet.ip.family != 4 || n->subnet.ip.family)
			continue;
		n->subnet = pool.subnet;
		n->gateway = pool.gateway;
		n->ip_range = pool.ip_range;
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

/* What Docker calls the interface: nothing but the option or the id says so. */
static const char *bridge_of(struct arena *a, const struct engine_network *n)
{
	const char *name = pair_value(&n->options, "com.docker.network.bridge.name");

	if (strcmp(n->driver, "bridge") != 0)
		return NULL;
	if (!*name)
		name = strcmp(pair_value(&n->options, "com.docker.network.bridge.default_bridge"),
			      "true")
			       ? arena_printf(a, "br-%.12s", n->id)
			       : "docker0";
	return is_interface_name(name) ? name : NULL;
}

static bool decode_network(struct engine_network *n, struct arena *a, json_t *network,
			   struct error *err)
{
	if (!JSON_DECODE(n, a, network, network_fields, err))
		return false;
	if (!*n->id || !*n->name)
		return error_set(err, -1, "no %s", *n->id ? "Name" : "Id");
	if (!decode_pools(n, a, network, err) ||
	    !decode_pairs(&n->labels, a, network, "Labels", err) ||
	    !decode_pairs(&n->options, a, network, "Options", err))
		return false;
	n->managed = !strcmp(pair_value(&n->labels, MANAGED_LABEL), "1");
	n->bridge = bridge_of(a, n);
	n->apart = n->bridge && options_keep_apart(n->options.items, n->options.n);
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
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_ARRAY, err);
	json_t *item;
	size_t i;

	if (!root)
		return error_wrap(err, "networks");
	e->networks.n = 0;
	json_array_foreach (root, i, item)
		if (!decode_network(list_add(a, &e->networks), a, item, err))
			return error_wrap(err, "networks[%zu]", i);
	if (e->networks.n)
		qsort(e->networks.items, e->networks.n, sizeof(*e->networks.items), network_order);
	hash_index_names(&e->networks_by_name, a, &e->networks);
	return true;
}

static bool decode_endpoints(struct engine_container *c, struct arena *a, json_t *container,
			     struct error *err)
{
	json_t *networks, *item, *mark;
	const char *name;

	if (!json_find(&networks, container, "NetworkSettings.Networks", JSON_OBJECT, err))
		return false;
	c->endpoints.n = 0;
	json_object_foreach (networks, name, item) {
		struct engine_endpoint endpoint = {.network = arena_strdup(a, name)};

		if (!JSON_DECODE(&endpoint, a, item, endpoint_fields, err) ||
		    !json_find(&mark, item, "DriverOpts", JSON_OBJECT, err))
			return error_wrap(err, "NetworkSettings.Networks.%s", name);
		mark = json_object_get(mark, MANAGED_LABEL);
		endpoint.managed = json_is_string(mark) && !strcmp(json_string_value(mark), "1");
		*list_add(a, &c->endpoints) = endpoint;
	}
	return true;
}

/* Names has a line "/other/alias" for every link that leads to it; its own has one slash. */
static bool decode_names(const char **name, struct arena *a, json_t *container, struct error *err)
{
	json_t *names, *item;
	size_t i;

	if (!json_find(&names, container, "Names", JSON_ARRAY, err))
		return false;
	*name = "";
	json_array_foreach (names, i, item) {
		const char *text = json_string_value(item);

		if (!text)
			return error_set(err, -1, "Names[%zu] is not a text", i);
		text += *text == '/';
		if (!**name && !strchr(text, '/'))
			*name = arena_strdup(a, text);
	}
	return true;
}

static bool decode_container(struct engine_container *c, struct arena *a, json_t *container,
			     struct error *err)
{
	const char *state;
	json_t *value;

	if (!JSON_DECODE(c, a, container, listed_fields, err) ||
	    !decode_names(&c->name, a, container, err) ||
	    !json_look_up(&value, container, "State", err))
		return false;
	if (!json_store_text(&state, a, value))
		return error_set(err, -1, "State is not a text");
	if (!*c->id)
		return error_set(err, -1, "no Id");
	if (!*c->name) /* a container on its way out may have lost its names already */
		c->name = c->id;
	c->running = !strcmp(state, "running") || !strcmp(state, "paused");
	c->restarting = !strcmp(state, "restarting");
	c->sandbox_key = "";
	return decode_endpoints(c, a, container, err);
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
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_ARRAY, err);
	json_t *item;
	size_t i;

	if (!root)
		return error_wrap(err, "containers");
	e->containers.n = 0;
	json_array_foreach (root, i, item)
		if (!decode_container(list_add(a, &e->containers), a, item, err))
			return error_wrap(err, "containers[%zu]", i);
	if (e->containers.n)
		qsort(e->containers.items, e->containers.n, sizeof(*e->containers.items),
		      container_order);
	hash_index_names(&e->containers_by_name, a, &e->containers);
	return true;
}

bool engine_decode_inspect(struct engine_container *c, struct arena *a, const char *json,
			   size_t len, struct error *err)
{
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_OBJECT, err);
	struct inspected seen = {0};

	if (!root || !JSON_DECODE(&seen, a, root, inspected_fields, err) ||
	    !decode_endpoints(c, a, root, err))
		return error_wrap(err, "container");
	if (!c->id)
		c->id = seen.id;
	if (!c->name)
		c->name = seen.name + (*seen.name == '/');
	/* Between two attempts Docker says Running as well as Restarting, with process id 0. */
	c->restarting = seen.restarting;
	c->running = seen.running && seen.pid > 0 && !seen.restarting;
	c->pid = c->running ? seen.pid : 0;
	c->network_mode = seen.network_mode;
	c->sandbox_key = seen.sandbox_key;
	c->inspected = true;
	return true;
}

bool engine_decode_event(struct engine_event *event, struct arena *a, const char *json, size_t len,
			 struct error *err)
{
	AUTO_RELEASE struct arena tree = {0};
	json_t *root = json_read(&tree, json, len, JSON_OBJECT, err);

	*event = (struct engine_event){0};
	if (!root || !JSON_DECODE(event, a, root, event_fields, err))
		return error_wrap(err, "event");
	if (!*event->type || !*event->action)
		return error_set(err, -1, "event: no %s", *event->type ? "Action" : "Type");
	return true;
}
