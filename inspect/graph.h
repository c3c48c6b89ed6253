/* graph.h: the namespaces of an image with their devices and the links between them, as a graph.
 *
 * Shape: {"netns":[{"id","name","ino","external","userns","tasks":[{"pid","comm"}],"devices":[{"id","name","kind",
 *        "up","addresses":[],"vni"}],"listeners":["tcp 10.0.0.1:80 web"]}],
 *        "edges":[{"from","to","kind","label"}],"outside":[{"id","name"}]}
 *        from and to are ids of devices or of "outside" (the other end of a link is not in the image).
 *        kind: veth (both ends alike), port (to its master), lower (to what it is on), vxlan (to the other end of the
 *        tunnel), peer (to an end outside the image).
 *        A namespace also has "n_tasks" and "n_listeners", where its lists are cut.
 * Names are as in the database; the two writers below escape them for their language and cut them to GRAPH_TEXT cells.
 */
#pragma once

#include "base/json.h"
#include "imgdb/db.h"

#define GRAPH_TEXT      48 /* cells of a name */
#define GRAPH_LISTENERS 6  /* of a namespace; the rest is counted */
#define GRAPH_TASKS     4

struct graph_opts {
	int64_t netns; /* netns.id: only this one and those it has links to; 0: all */
	bool loopback; /* with lo, even where it is as everywhere */
	bool listeners;
};

/* An owned graph or NULL. */
struct json *graph_data(struct db *db, int64_t image, const struct graph_opts *opts, struct err *e);

/* Append the graph in the language of Graphviz (graphviz.org/doc/info/lang.html) or of Mermaid
 * (mermaid.js.org/syntax/flowchart.html). */
int graph_dot(const struct json *g, struct buf *out, struct err *e);
int graph_mermaid(const struct json *g, struct buf *out, struct err *e);
