/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the engine is: DOCKER_HOST and the TLS variables, read as Docker's own client does, checked
 * before connecting, and set on a curl handle.
 */
#include "edge/docker/impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char default_host[] = "unix:///var/run/docker.sock";

enum { CONNECT_TIMEOUT_MS = 2000 };

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

struct docker_options docker_options_from_environment(void)
{
	bool tls = variable("DOCKER_TLS_VERIFY");

	return (struct docker_options){.host = variable("DOCKER_HOST"),
				       .api_version = variable("DOCKER_API_VERSION"),
				       .cert_path = variable("DOCKER_CERT_PATH"),
				       .tls = tls,
				       .tls_verify = tls};
}

static bool parse_socket(struct docker_address *at, const char *path, struct error *err)
{
	struct sockaddr_un room;

	if (*path != '/')
		return error_set(err, -1, "DOCKER_HOST %s: the socket needs an absolute path",
				 at->shown);
	if (strlen(path) >= sizeof(room.sun_path))
		return error_set(err, -1, "DOCKER_HOST %s: a socket's path has at most %zu bytes",
				 at->shown, sizeof(room.sun_path) - 1);
	at->socket = path;
	at->base = "http://docker";
	return true;
}

/* A part of the URL, in the arena; "" if it is missing. */
static const char *part(CURLU *url, CURLUPart what, struct arena *a)
{
	char *text = NULL;
	const char *copy = "";

	if (curl_url_get(url, what, &text, 0) == CURLUE_OK && text)
		copy = arena_strdup(a, text);
	curl_free(text);
	return copy;
}

static bool is_this_machine(const char *host)
{
	return !strcmp(host, "localhost") || !strncmp(host, "127.", 4) || !strcmp(host, "[::1]");
}

/* A host, a port and perhaps a path. No user, who would end up in logs, and no query. */
static bool parse_url(struct docker_address *at, struct arena *a, const char *rest, bool tls,
		      const char *default_port, struct error *err)
{
	const char *scheme = tls ? "https" : "http", *port, *path;
	CURLU *url = curl_url();
	size_t len;
	bool ok;

	ok = url && curl_url_set(url, CURLUPART_URL, arena_printf(a, "%s://%s", scheme, rest), 0) ==
			    CURLUE_OK;
	ok = ok && *part(url, CURLUPART_HOST, a) && !*part(url, CURLUPART_USER, a) &&
	     !*part(url, CURLUPART_QUERY, a) && !*part(url, CURLUPART_FRAGMENT, a);
	if (ok) {
		port = part(url, CURLUPART_PORT, a);
		path = part(url, CURLUPART_PATH, a);
		for (len = strlen(path); len && path[len - 1] == '/'; len--)
			;
		at->remote = !is_this_machine(part(url, CURLUPART_HOST, a));
		at->base = arena_printf(a, "%s://%s:%s%.*s", scheme, part(url, CURLUPART_HOST, a),
					*port ? port : default_port, (int)len, path);
	}
	curl_url_cleanup(url);
	if (!ok)
		return error_set(err, -1, "DOCKER_HOST %s is not of the form tcp://host:port",
				 at->shown);
	return true;
}

static bool parse_host(struct docker_address *at, struct arena *a, bool tls, struct error *err)
{
	static const struct {
		const char *scheme, *port, *tls_port;
		bool tls;
	} schemes[] = {
		{"tcp://", "2375", "2376", false},
		{"http://", "80", "2376", false},
		{"https://", "443", "443", true},
	};

	if (!strncmp(at->shown, "unix://", 7))
		return parse_socket(at, at->shown + 7, err);
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		size_t len = strlen(schemes[i].scheme);

		if (strncmp(at->shown, schemes[i].scheme, len) != 0)
			continue;
		tls = tls || schemes[i].tls;
		return parse_url(at, a, at->shown + len, tls,
				 tls ? schemes[i].tls_port : schemes[i].port, err);
	}
	return error_set(
		err, -1,
		"DOCKER_HOST %s is not supported; use unix://, tcp://, http:// or https://",
		at->shown);
}

/* A folder that was named must contain all three files; in the default folder they are optional. */
static const char *pem(struct arena *a, const char *folder, bool named, const char *file)
{
	const char *path = arena_printf(a, "%s/%s", folder, file);

	return named || !access(path, R_OK) ? path : NULL;
}

bool docker_address_parse(struct docker_address *at, struct arena *a,
			  const struct docker_options *o, struct error *err)
{
	const char *home = variable("HOME"), *folder;

	*at = (struct docker_address){
		.shown = arena_strdup(a, o->host && *o->host ? o->host : default_host),
		.api_version = arena_strdup(a, o->api_version),
		.verify = !o->tls || o->tls_verify,
		.timeout_ms = o->timeout_ms,
	};
	if (!parse_host(at, a, o->tls, err))
		return false;
	if (strncmp(at->base, "https", 5) != 0 || (!o->tls && !o->cert_path))
		return true;
	folder = o->cert_path ? o->cert_path : arena_printf(a, "%s/.docker", home ? home : "/root");
	at->ca = pem(a, folder, o->cert_path, "ca.pem");
	at->cert = pem(a, folder, o->cert_path, "cert.pem");
	at->key = pem(a, folder, o->cert_path, "key.pem");
	return true;
}

/* curl does not set CLOEXEC, and a child of ours would keep the connection open. */
static curl_socket_t open_socket(void *unused UNUSED, curlsocktype purpose UNUSED,
				 struct curl_sockaddr *at)
{
	return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

void docker_prepare(const struct docker *d, CURL *easy, const char *path, char *why)
{
	const struct docker_address *at = &d->address;
	AUTO_BUF struct buf url = {0};

	buf_puts(&url, at->base);
	buf_puts(&url, path);
	curl_easy_reset(easy); /* resets options only: the connection stays open */
	curl_easy_setopt(easy, CURLOPT_URL, buf_text(&url));
	curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, at->socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "harborwall/" VERSION);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, at->verify ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, at->verify ? 2L : 0L);
	if (at->ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, at->ca);
	if (at->cert)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, at->cert);
	if (at->key)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, at->key);
	why[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
}
