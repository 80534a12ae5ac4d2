/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb graph: who may reach whom, by the file alone. */
#include "core/answers/graph.h"

#include "app/answers/preview.h"
#include "app/console/say.h"
#include "app/console/verbs.h"

#include <string.h>

int verb_graph(const struct options *o)
{
	static const char *const formats[] = {
		[GRAPH_DOT] = "dot", [GRAPH_MERMAID] = "mermaid", [GRAPH_JSON] = "json"};
	AUTO_TEXTS struct texts text = {0};
	AUTO_BUF struct buf out = {0};
	struct generation g;
	enum graph_format format = GRAPH_DOT;

	if (!load_file(&g, &text, o))
		return EXIT_FAILED;
	for (size_t i = 0; o->format && i < COUNT_OF(formats); i++)
		if (!strcmp(o->format, formats[i]))
			format = (enum graph_format)i;
	graph_print(&out, &g.config, &g.resolution, format);
	say_page(stdout, &out);
	generation_release(&g);
	return EXIT_FINE;
}
