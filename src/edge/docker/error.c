/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Says what went wrong with a transfer, naming the engine and the remedy; curl's words name
 * neither.
 */
#include "edge/docker/impl.h"

#include <errno.h>
#include <string.h>

/* Nothing listens there, or we may not connect: by the errno of connect. */
static const struct {
	int code;
	const char *what, *remedy;
} connect_errors[] = {
	{ENOENT, "no Docker engine at", "; start Docker or set DOCKER_HOST"},
	{ECONNREFUSED, "no Docker engine listens at", "; start Docker or set DOCKER_HOST"},
	{EACCES, "no permission for the Docker engine at",
	 "; run as root or as a member of the group docker"},
	{EPERM, "no permission for the Docker engine at", "; run as root"},
};

/* It failed after connecting: by curl's code. */
static const struct {
	CURLcode curl;
	int code;
	const char *what; /* what happened; NULL: curl's own words */
} transfer_errors[] = {
	{CURLE_COULDNT_RESOLVE_HOST, EHOSTUNREACH, "the name does not resolve; check DOCKER_HOST"},
	{CURLE_OPERATION_TIMEDOUT, ETIMEDOUT, "no answer in time"},
	{CURLE_WRITE_ERROR, EMSGSIZE, "the answer is too large"},
	{CURLE_ABORTED_BY_CALLBACK, ECANCELED, "the request was cancelled"},
	{CURLE_GOT_NOTHING, ECONNRESET, "it closed the connection without an answer"},
	{CURLE_RECV_ERROR, ECONNRESET, "it hung up in the middle"},
	{CURLE_SEND_ERROR, ECONNRESET, "it hung up in the middle"},
	{CURLE_PARTIAL_FILE, ECONNRESET, "it closed the connection in the middle of an answer"},
	{CURLE_UNSUPPORTED_PROTOCOL, EPROTO, "it does not speak HTTP"},
	{CURLE_WEIRD_SERVER_REPLY, EPROTO, "it does not speak HTTP"},
	{CURLE_PEER_FAILED_VERIFICATION, EPROTO, NULL},
	{CURLE_SSL_CONNECT_ERROR, EPROTO, NULL},
	{CURLE_SSL_CERTPROBLEM, EPROTO, NULL},
	{CURLE_SSL_CACERT_BADFILE, EPROTO, NULL},
};

/* error_set would append the errno's words after the remedy. */
static bool fail(struct error *err, int code, const char *what, const char *where, const char *why,
		 const char *remedy)
{
	bool first = !err->code;

	error_set(err, -1, "%s %s: %s%s", what, where, why, remedy);
	if (first)
		err->code = code;
	return false;
}

static bool fail_to_connect(const struct docker *d, int code, struct error *err)
{
	const char *where = d->address.shown;

	for (size_t i = 0; i < COUNT_OF(connect_errors); i++)
		if (code == connect_errors[i].code)
			return fail(err, code, connect_errors[i].what, where, strerror(code),
				    connect_errors[i].remedy);
	return fail(err, code ? code : EIO, "cannot reach the Docker engine at", where,
		    code ? strerror(code) : "no connection", "");
}

bool docker_transfer_error(const struct docker *d, CURL *easy, CURLcode code, const char *why,
			   struct error *err)
{
	static const char engine[] = "Docker engine at";
	const char *where = d->address.shown;
	long os_errno = 0;

	curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_errno);
	if (code == CURLE_COULDNT_CONNECT)
		return fail_to_connect(d, (int)os_errno, err);
	why = *why ? why : curl_easy_strerror(code);
	for (size_t i = 0; i < COUNT_OF(transfer_errors); i++)
		if (code == transfer_errors[i].curl)
			return fail(err, transfer_errors[i].code, engine, where,
				    transfer_errors[i].what ? transfer_errors[i].what : why, "");
	return fail(err, EIO, engine, where, why, "");
}
