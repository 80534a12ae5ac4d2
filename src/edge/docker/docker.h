/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The Docker Engine API over libcurl: unix socket, tcp, TLS. Calls are synchronous and every one
 * has a deadline; the event stream is a curl multi handle that the caller's loop drives. Errors are
 * as people can act on them: "POST /networks/web/connect: 403 Address already in use". The caller
 * ignores SIGPIPE: a TLS connection that breaks would raise it.
 *
 * In this room:
 *     docker.h  calls and events
 *     impl.h    what the sources of this room share
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "core/engine/details.h"

struct docker; /* opaque: curl handles, address, negotiated version */

struct docker_options {
	const char *host;	 /* DOCKER_HOST; NULL: unix:///var/run/docker.sock */
	const char *api_version; /* DOCKER_API_VERSION; NULL: negotiate */
	const char *cert_path;	 /* DOCKER_CERT_PATH; NULL: ~/.docker */
	bool tls, tls_verify;	 /* DOCKER_TLS_VERIFY non-empty: both */
	int timeout_ms;		 /* for every answer; 0: 10 s to read, 60 s to write */
};
struct docker_options docker_options_from_environment(void);

/* Does not connect. NULL with err if the address is invalid. */
struct docker *docker_new(const struct docker_options *options, struct error *err);
void docker_free(struct docker *d);

/*
 * The engine is reached over a network, so it is probably on another machine: neither a unix socket
 * nor localhost.
 */
bool docker_is_remote(const struct docker *d);

/*
 * What to do while waiting for an answer. `take` is called when one of the descriptors is readable,
 * and every second. If it returns false, a GET is cancelled (ECANCELED); a request that changes
 * something is waited for.
 */
struct docker_meanwhile {
	int fds[3];
	bool (*take)(void *context);
	void *context;
};
void docker_set_meanwhile(struct docker *d, const struct docker_meanwhile *meanwhile);

/*
 * Reads the engine: version (negotiated once per connection), info, networks, containers; all or
 * nothing. err->code: ECONNREFUSED, ENOENT, EACCES: no engine. Another errno: it broke off, stalled
 * (ETIMEDOUT) or answered too much (EMSGSIZE). An HTTP status: it answered with an error. -1: an
 * invalid answer (also Podman: then e->libpod is set).
 */
MUST_CHECK bool docker_read(struct docker *d, struct engine *e, struct arena *a, struct error *err);
/* Details of all containers. */
MUST_CHECK bool docker_read_details(struct docker *d, struct engine_details *details,
				    struct arena *a, struct error *err);
MUST_CHECK bool docker_inspect(struct docker *d, struct engine_container *c, struct arena *a,
			       struct error *err);

/* The settings a network was created with. */
MUST_CHECK bool docker_network_settings(struct docker *d, struct kept_network *was, const char *id,
					struct arena *a, struct error *err);
/*
 * Creates what engine_encode_network encodes: the declared network, the one it replaces; one of
 * them may be NULL.
 */
MUST_CHECK bool docker_create_network(struct docker *d, const struct network *network,
				      const struct kept_network *was, struct error *err);
MUST_CHECK bool docker_remove_network(struct docker *d, const char *id, struct error *err);
MUST_CHECK bool docker_connect(struct docker *d, const char *network, const char *container_id,
			       const struct connecting *how, struct error *err);
MUST_CHECK bool docker_disconnect(struct docker *d, const char *network, const char *container_id,
				  bool force, struct error *err);

/*
 * The event stream. docker_events_start connects in the background; the fds to wait for change over
 * time: docker_events_fd is an epoll descriptor that is readable when docker_events_run has work,
 * and docker_events_timeout_ms its deadline (-1: none). The descriptor is the same for the life of
 * d. docker_events_next gives one decoded line at a time, false when there is none for now; all
 * are to be taken after every run. DOWN with err set once: what broke the stream, start it again
 * and list anew. Health checks and docker exec make events too, of no interest to most.
 */
MUST_CHECK bool docker_events_start(struct docker *d, struct error *err);
int docker_events_fd(const struct docker *d);
int docker_events_timeout_ms(const struct docker *d);
enum docker_stream { STREAM_DOWN, STREAM_CONNECTING, STREAM_UP };
enum docker_stream docker_events_run(struct docker *d, struct error *err);
bool docker_events_next(struct docker *d, struct engine_event *event, struct arena *a);
