/* sysctl_schema.h: which sysctls a namespace has and where their values are found cheapest. For net_sysctl.c
 * alone.
 *
 * Owns:  struct sysctl_schema: names, folders, the values of the fresh namespace that it was read from.
 * Rule:  what a message tells of a device is believed for files of which it told the truth about the fresh
 *        namespace's lo.
 */
#pragma once

#include "dumper/net_sysctl.h"

enum {
	SCHEMA_FOLDERS_MAX = 64,
	SCHEMA_TOPS_MAX = 16,   /* folders right below net/ */
	SCHEMA_LISTED_MAX = 64, /* the longest of CRIU's lists */
};

/* The folders in which each device has its own values, seeded from "default". */
enum sysctl_dev_folder {
	SYSCTL_DEV_CONF4,
	SYSCTL_DEV_CONF6,
	SYSCTL_DEV_NEIGH4,
	SYSCTL_DEV_NEIGH6,
	SYSCTL_DEV_MPLS,
	SYSCTL_DEV_FOLDER_COUNT
};
extern const char *const sysctl_dev_folders[SYSCTL_DEV_FOLDER_COUNT];

static inline bool sysctl_dev_is_v6(enum sysctl_dev_folder f)
{
	return f == SYSCTL_DEV_CONF6 || f == SYSCTL_DEV_NEIGH6;
}

/* A file that is read in each namespace. */
struct schema_file {
	const char *name, *leaf; /* "net/ipv4/tcp_sack", "tcp_sack" */
	const char *fresh;       /* NULL: could not be read */
	uint32_t folder;
	bool is_listed; /* it is in one of CRIU's lists */
	int seed_of;    /* dev_files whose "all" or "default" it is, or -1 */
};

enum sysctl_source { SYSCTL_FROM_FILE, SYSCTL_FROM_LINK, SYSCTL_FROM_NEIGH };

/* A file that each device has. */
struct schema_dev_file {
	const char *leaf;
	const char *fresh; /* of "default", of lo where there is none; NULL: could not be read */
	int64_t fresh_number;
	enum sysctl_dev_folder folder;
	enum sysctl_source source;
	int place; /* devconf_place, neighconf_place */
	bool is_listed;
	int all, dflt; /* files of "all" and "default", or -1 */
};

/* Where the values at a position of a list are, -1: nowhere. file: of "all", or the one without a device. */
struct schema_place {
	int file, dflt, dev_file;
};

struct sysctl_schema {
	struct buf text;
	char *folders[SCHEMA_FOLDERS_MAX];
	size_t n_folders;
	struct schema_file *files;
	size_t n_files;
	struct schema_dev_file *dev_files;
	size_t n_dev_files;
	struct schema_place listed[SYSCTL_LIST_COUNT][SCHEMA_LISTED_MAX];
};

/* RTM_NEWNEIGHTBL messages of a family, appended; the NDTA_PARMS of one. */
int sysctl_neigh_dump(struct nl *rt, uint8_t family, struct buf *out, struct err *e);
struct span sysctl_neigh_parms(const struct nlmsghdr *h);
