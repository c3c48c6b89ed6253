/* options.h: the options of plan and restore, from words to struct restore_opts.
 *
 * Owns:  the parts of words that were cut (--veth, --netns).
 */
#pragma once

#include "base/cli.h"
#include "restorer/restore.h"

struct options {
	struct restore_opts opts;
	struct opt_veth *veths;
	struct opt_netns *netns;
	char *name;
	char *pin_dir, *state_dir, *root;
};

/* Rows that plan and restore share; each begins with them. */
#define OPTIONS_ROWS                                                                               \
	{"veth", 0, "[NETNS/]IN=OUT[@BRIDGE]",                                                     \
	 "the other end of device IN, outside the image, is OUT (a port of BRIDGE)", true},        \
		{"netns", 0, "KEY=NAME|PATH", "the namespace KEY of the image is that one", true}, \
		{"no-tasks", 0, NULL, "namespaces only: no processes, no sockets", false},         \
		{"prefix", 0, "P", "put P before the names of namespaces", false},                 \
		{"criu", 0, NULL, "CRIU restores the processes, with what follows --", false},     \
		{"criu-program", 0, "PATH", "the CRIU to run (default: in PATH)", false},          \
		{"source", 0, "PATH", "where the pages of the image are now, for CRIU", false},    \
		{"pin-dir", 0, "DIR", "pin namespaces in DIR instead of /run/netns", false},       \
		{"all-pins", 0, NULL, "make names outside of /run/netns, too", false},             \
	{                                                                                          \
		"root", 0, "DIR", "make unix sockets with a path below DIR", false                 \
	}

/* 0, or -1 (ERR_USAGE says how it is written). */
int options_parse(struct cli *c, struct options *o, struct err *e);

/* What only restore has: --name, --state-dir, --dry-run, --any-ifindex, --break-after. */
int options_parse_run(struct cli *c, struct options *o, struct err *e);
void options_free(struct options *o);
#define auto_options __attribute__((cleanup(options_free)))
