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

/* On networks as a label, on endpoints as a DriverOpts key. */
#define MANAGED_LABEL "io.harborwall.managed"

typedef LIST(struct pair) pair_list;

/* Texts are never NULL but where a line says so: what the engine leaves out is "". */
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
	bool apart;   /* its containers do not reach each other: enable_icc=false */
	bool managed; /* bears our label */
	pair_list labels, options;
};

struct engine_endpoint {
	const char *network;	/* name */
	const char *network_id; /* may be "" on a stopped container */
	struct ip ip, ip6;	/* in force; family 0 while stopped */
	uint8_t prefix_len;
	struct ip gateway, gateway6;
	/* IPAMConfig.IPv4Address, IPv6Address: asked for; family 0 if dynamic */
	struct ip configured, configured6;
	/* Only known after inspect: */
	bool managed;	 /* bears our DriverOpts mark */
	const char *mac; /* in force, "" while stopped; NULL: not inspected */
	const char
		*settings; /* what it was made with: JSON, as connect takes it; NULL: not asked */
};

struct engine_container {
	const char *id, *name; /* name without the leading slash */
	bool running;	       /* running or paused: it has a network namespace */
	bool restarting;
	int pid;		  /* 0 unless inspected and running */
	const char *network_mode; /* "default", "bridge", "none", "host", "container:ID", a name */
	const char *sandbox_key;  /* path of its namespace, "" if unknown */
	const char *mac;	  /* asked for with --mac-address, or ""; NULL: not inspected */
	LIST(struct engine_endpoint) endpoints;
	bool inspected;
	bool with_settings; /* set before inspect: the settings of its endpoints are wanted */
};

/*
 * A connection or a network that was taken away to be made again, with what the engine said of it
 * before. What is in force of the one that comes may differ: its address, its subnet.
 */
struct kept_endpoint {
	const char *container_id, *container, *network;
	const char *settings; /* JSON, as connect takes it */
	struct ip ip, ip6;    /* that the settings ask for; family 0: a dynamic one */
	bool managed;	      /* the settings bear our mark */
};

struct kept_network {
	const char *name, *settings; /* JSON, as create takes it */
};

/* "" where the network was made without it. */
const char *engine_network_option(const struct engine_network *network, const char *name);
#define GATEWAY_MODE  "com.docker.network.bridge.gateway_mode_ipv4" /* an option */
#define GATEWAY_MODE6 "com.docker.network.bridge.gateway_mode_ipv6"
/* Containers are reached by the host's address: Docker's default. */
bool gateway_mode_translates(const char *mode);
/* Left open by whoever made it: nat-unprotected. */
bool gateway_mode_is_open(const char *mode);
bool engine_network_translates(const struct engine_network *network);
bool engine_network_is_open(const struct engine_network *network);

enum docker_firewall {
	DOCKER_FIREWALL_UNKNOWN,
	DOCKER_FIREWALL_IPTABLES,
	DOCKER_FIREWALL_NFTABLES
};

struct engine {
	bool up;		       /* false: nothing below is known */
	const char *version;	       /* "20.10.24+dfsg1" */
	uint32_t major, minor;	       /* 20 and 10, 28 and 5, … */
	const char *api;	       /* spoken with it, "1.41"; NULL before engine_choose_api */
	const char *api_min, *api_max; /* what it offers */
	const char *id;		       /* /info ID */
	const char *info_refused;      /* in what words /info was, where a proxy stands before it */
	enum docker_firewall firewall; /* from /info FirewallBackend where the API has it (1.49) */
	bool firewalld;
	bool libpod; /* Podman's compatible socket: unsupported */
	LIST(struct engine_network) networks;
	LIST(struct engine_container) containers;
	struct hash_index networks_by_name, containers_by_name;
};

/* Decoders: false with a clear error on bytes that are not what the API promises. */
MUST_CHECK bool engine_decode_version(struct engine *e, struct arena *a, const char *json,
				      size_t len, const char *server_header, struct error *err);
/* The newest version that both speak, or exactly the wanted one (NULL or "": any). */
MUST_CHECK bool engine_choose_api(struct engine *e, struct arena *a, const char *wanted,
				  struct error *err);
MUST_CHECK bool engine_decode_info(struct engine *e, struct arena *a, const char *json, size_t len,
				   struct error *err);
MUST_CHECK bool engine_decode_networks(struct engine *e, struct arena *a, const char *json,
				       size_t len, struct error *err);
MUST_CHECK bool engine_decode_containers(struct engine *e, struct arena *a, const char *json,
					 size_t len, struct error *err);
/*
 * Fills state, pid, network_mode, sandbox_key, marks and endpoints of one container; its id and
 * name too where the caller has none.
 */
MUST_CHECK bool engine_decode_inspect(struct engine_container *c, struct arena *a, const char *json,
				      size_t len, struct error *err);

/* Equal views have equal digests; of what decides about networks, connections and rules. */
uint64_t engine_digest(const struct engine *e);

/* By exact name. Both lists are sorted by name; names that the engine made twice: the first id. */
struct engine_network *engine_find_network(const struct engine *e, const char *name);
struct engine_container *engine_find_container(const struct engine *e, const char *name);
struct engine_endpoint *engine_find_endpoint(const struct engine_container *c, const char *network);
/* Network mode host, or container:X: it has no network namespace of its own. */
bool engine_shares_namespace(const struct engine_container *c);
/* The one that it asked for, else the dynamic one that it has; family 0 if neither. */
struct ip engine_address(const struct engine_endpoint *endpoint, enum family family);
/* Of those that are given. */
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
 * What an answer with an error status says, on one line: "403 Pool overlaps …". The status becomes
 * the code. Bodies are {"message": …} or, from engines that find us too old, plain text.
 */
bool engine_decode_error(struct error *err, int status, const char *body, size_t len);

/* Takes what the settings say besides. False: they are no JSON object. */
MUST_CHECK bool engine_take_settings(struct kept_endpoint *kept, const char *settings);
/* What a network was made with, of the answer to GET /networks/ID. */
MUST_CHECK bool engine_decode_network_settings(const char **settings, struct arena *a,
					       const char *json, size_t len, struct error *err);

/* The MAC address that was asked for, as far as the engine lets one know; "": none. */
const char *engine_asked_mac(const struct engine_container *c, const struct engine_endpoint *e,
			     uint32_t major);
/* A connection gets the MAC address that it asks for, or has it by its container. */
bool engine_keeps_mac(const struct engine *e);
/* A running container that is connected anew finds the interface under its old name. */
bool engine_keeps_interface_name(const struct engine *e);

/* Request bodies, appended to *body. */
struct buf;
/*
 * A network as the file declares it. was: the settings of the one that it replaces; what the file
 * says nothing of stays: other families, options, labels. Without a network: as it was.
 */
void engine_encode_network(struct buf *body, const struct network *network,
			   const struct kept_network *was, bool check_duplicate);

/* How a container is connected. */
struct connecting {
	struct ip ip, ip6;    /* family 0: a dynamic address */
	bool managed;	      /* with our mark: the file declares it */
	const char *settings; /* what else it had before, or NULL */
};
void engine_encode_connect(struct buf *body, const char *container_id,
			   const struct connecting *how);
void engine_encode_disconnect(struct buf *body, const char *container_id, bool force);
