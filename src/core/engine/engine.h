/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a Docker engine says of itself, its networks and its containers, decoded from the JSON of
 * the Docker Engine API (1.40 to 1.55). Pure: bytes in, records out; nothing here talks to it.
 *
 * In this room:
 *     engine.h    types, look-ups, requests
 *     answer.h    JSON to records, by tables
 *     settings.h  what an endpoint was made with
 *     details.h   what a draft of a file needs
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "base/hash_index.h"
#include "base/ip.h"
#include "core/config/config.h"

/* A label on networks, a DriverOpts key on endpoints. */
#define MANAGED_LABEL "io.harborwall.managed"

/* Texts are never NULL unless noted: what the engine omits is "". */
struct engine_network {
	const char *id, *name, *driver;
	union {
		struct ipam ipam[N_FAMILIES]; /* the first of each family; all-zero if none */
		struct {
			struct prefix subnet;
			struct ip gateway;
			struct prefix ip_range;
			struct prefix subnet6;
			struct ip gateway6;
			struct prefix ip_range6;
		};
	};
	LIST(struct prefix) subnets; /* all of them */
	/*
	 * Interface: the option, "docker0", or br-<12 of the id>; NULL for other drivers, and for
	 * names that no interface can have.
	 */
	const char *bridge;
	bool ipv6; /* EnableIPv6: without it a subnet6 is idle */
	bool internal;
	bool apart;   /* containers are isolated from each other: enable_icc=false */
	bool managed; /* bears our label */
	pair_list labels, options;
};

struct engine_endpoint {
	const char *network;	/* name */
	const char *network_id; /* may be "" on a stopped container */
	struct ip ip, ip6;	/* in force; family 0 while stopped */
	struct ip gateway, gateway6;
	/* IPAMConfig.IPv4Address, IPv6Address: asked for; family 0 if dynamic */
	struct ip configured, configured6;
	const char *mac; /* "02:42:ac:12:67:02"; "" while stopped */
	/* Only known after inspect: */
	bool managed;	      /* bears our DriverOpts mark */
	const char *settings; /* the settings it was made with, as JSON for connect; NULL: not
				 inspected */
};

/* A port of the host that leads to a container. */
struct engine_published {
	uint16_t port;
	uint8_t proto; /* IP protocol number */
};

struct engine_container {
	const char *id, *name; /* name without the leading slash */
	bool running;	       /* running or paused: has a network namespace */
	bool restarting;
	int pid;		  /* 0 unless inspected and running */
	const char *network_mode; /* "default", "bridge", "none", "host", "container:ID", a name */
	const char *sandbox_key;  /* path of its namespace, "" if unknown */
	const char *mac;	  /* from --mac-address, or ""; NULL: not inspected */
	LIST(struct engine_endpoint) endpoints;
	LIST(struct engine_published) published;
	bool inspected;
	bool with_settings; /* set before inspect: also read the settings of endpoints */
};

/*
 * A connection or network that was removed to be created again, with its old settings. The new one
 * may differ: its address, its subnet.
 */
struct kept_endpoint {
	const char *container_id, *container, *network;
	const char *settings; /* JSON, as connect takes it */
	struct ip ip, ip6;    /* that the settings ask for; family 0: a dynamic one */
	bool managed;	      /* the settings bear our mark */
};

struct kept_network {
	const char *name, *settings; /* settings: JSON for create */
};

/* The bridge of a declared network that has another name than the file gives it. */
struct network_bridge {
	const char *network, *bridge;
};
typedef LIST(struct network_bridge) network_bridges;

/* "" where the network was made without it. */
const char *engine_network_option(const struct engine_network *network, const char *name);
#define GATEWAY_MODE  "com.docker.network.bridge.gateway_mode_ipv4" /* an option */
#define GATEWAY_MODE6 "com.docker.network.bridge.gateway_mode_ipv6"
/* Containers are reached by the host's address: Docker's default. */
bool gateway_mode_translates(const char *mode);
/* Left open by whoever made it: nat-unprotected. */
bool gateway_mode_is_open(const char *mode);
/* In one family: 4 or 6. */
bool engine_network_translates(const struct engine_network *network, uint8_t family);
bool engine_network_is_open(const struct engine_network *network, uint8_t family);

enum docker_firewall {
	DOCKER_FIREWALL_UNKNOWN,
	DOCKER_FIREWALL_IPTABLES,
	DOCKER_FIREWALL_NFTABLES
};

struct engine {
	bool up;	       /* false: the rest is unknown */
	const char *version;   /* "20.10.24+dfsg1" */
	uint32_t major, minor; /* 20 and 10, 28 and 5, … */
	const char *api;       /* the version in use, "1.41"; NULL before engine_choose_api */
	const char *api_min, *api_max; /* the versions it supports */
	const char *id;		       /* /info ID */
	const char *info_refused;      /* why /info was refused, by a proxy for instance */
	enum docker_firewall firewall; /* from /info FirewallBackend, since API 1.49 */
	bool firewalld;
	bool libpod; /* Podman's Docker-compatible socket, which is not supported */
	LIST(struct engine_network) networks;
	LIST(struct engine_container) containers;
	struct hash_index networks_by_name, containers_by_name;
};

/* Decoders. False, with an error, if the bytes are not what the API promises. */
MUST_CHECK bool engine_decode_version(struct engine *e, struct arena *a, const char *json,
				      size_t len, const char *server_header, struct error *err);
/* Chooses the newest version that both support, or exactly the wanted one (NULL or "": any). */
MUST_CHECK bool engine_choose_api(struct engine *e, struct arena *a, const char *wanted,
				  struct error *err);
MUST_CHECK bool engine_decode_info(struct engine *e, struct arena *a, const char *json, size_t len,
				   struct error *err);
MUST_CHECK bool engine_decode_networks(struct engine *e, struct arena *a, const char *json,
				       size_t len, struct error *err);
MUST_CHECK bool engine_decode_containers(struct engine *e, struct arena *a, const char *json,
					 size_t len, struct error *err);
/*
 * Adds state, pid, network_mode, sandbox_key, marks and endpoints of one container; also id and
 * name if they are missing.
 */
MUST_CHECK bool engine_decode_inspect(struct engine_container *c, struct arena *a, const char *json,
				      size_t len, struct error *err);

/* Equal if everything that networks, connections and rules depend on is equal. */
uint64_t engine_digest(const struct engine *e);

/*
 * By exact name. Both lists are sorted by name. If the engine has two networks of one name: the
 * first.
 */
struct engine_network *engine_find_network(const struct engine *e, const char *name);
struct engine_container *engine_find_container(const struct engine *e, const char *name);
struct engine_endpoint *engine_find_endpoint(const struct engine_container *c, const char *network);
/* Network mode host, or container:X: it has no network namespace of its own. */
bool engine_shares_namespace(const struct engine_container *c);
/* The configured address, else the dynamic one; family 0 if neither. */
struct ip engine_address(const struct engine_endpoint *endpoint, enum family family);
/* Has each of the addresses that are given. */
bool engine_has_addresses(const struct engine_endpoint *endpoint, struct ip ip, struct ip ip6);

/* A line of GET /events (API 1.41: one JSON object a line). */
struct engine_event {
	const char *type;   /* container, network, daemon */
	const char *action; /* start, die, connect, disconnect, create, destroy, rename, … */
	const char *id, *name;
	const char *container; /* of a network event: the container's id */
};
MUST_CHECK bool engine_decode_event(struct engine_event *event, struct arena *a, const char *json,
				    size_t len, struct error *err);

/*
 * An error answer on one line: "403 Pool overlaps …"; the status becomes err->code. The body is
 * {"message": …}, or plain text from an engine that finds our API version too old.
 */
bool engine_decode_error(struct error *err, int status, const char *body, size_t len);

/* Reads what the settings contain. False: not a JSON object. */
MUST_CHECK bool engine_take_settings(struct kept_endpoint *kept, const char *settings);
/* The settings of a network, from the answer to GET /networks/ID. */
MUST_CHECK bool engine_decode_network_settings(const char **settings, struct arena *a,
					       const char *json, size_t len, struct error *err);

/* The MAC address that was configured, as far as the engine shows it; "": none. */
const char *engine_asked_mac(const struct engine_container *c, const struct engine_endpoint *e,
			     uint32_t major);
/* Whether a connection gets the MAC address that is configured for it or for its container. */
bool engine_keeps_mac(const struct engine *e);
/* Whether a running container keeps its interface's name when it is reconnected. */
bool engine_keeps_interface_name(const struct engine *e);

/* Request bodies are appended to *body. */
struct buf;
/*
 * Creates a network as declared. was: settings of the network it replaces, from which everything is
 * kept that the file does not mention (other address families, options, labels). Without a declared
 * network: as it was.
 */
void engine_encode_network(struct buf *body, const struct network *network,
			   const struct kept_network *was, bool check_duplicate);

/* How a container is connected. */
struct connecting {
	struct ip ip, ip6;    /* family 0: a dynamic address */
	bool managed;	      /* with our mark: the file declares it */
	const char *settings; /* its other old settings, or NULL */
};
void engine_encode_connect(struct buf *body, const char *container_id,
			   const struct connecting *how);
void engine_encode_disconnect(struct buf *body, const char *container_id, bool force);
