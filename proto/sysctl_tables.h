/* sysctl_tables.h: the names behind CRIU's positional lists of sysctls.
 *
 * Owns:  the order of the repeated sysctl_entry fields of netns_entry and net_device_entry, which is
 *        the format on disk: position n of conf4 is the n-th name, whatever the kernel has.
 * Never: reads /proc/sys.
 * Facts: CRIU 4.2. An entry without iarg and sarg means that the sysctl did not exist.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum sysctl_list {
	SYSCTL_CONF4, /* net/ipv4/conf/DEVICE/NAME */
	SYSCTL_CONF6, /* net/ipv6/conf/DEVICE/NAME */
	SYSCTL_UNIX,  /* net/unix/NAME */
	SYSCTL_IPV4,  /* net/ipv4/NAME */
	SYSCTL_LIST_COUNT
};

/* A field that holds such a list. */
struct sysctl_field {
	const char *message, *field; /* "netns_entry", "def_conf4" */
	enum sysctl_list list;
	const char *device; /* "default", "all"; NULL: the name of the device, or none is needed */
};

/* All fields with a list, ended by a row without message. Lent, static. */
const struct sysctl_field *sysctl_fields(void);

/* How many names a list has; the name at a position, NULL beyond the end (a newer CRIU may have more);
 * the position of a name, -1 if it is not in the list. */
size_t sysctl_count(enum sysctl_list list);
const char *sysctl_name(enum sysctl_list list, size_t pos);
int sysctl_position(enum sysctl_list list, const char *name);

/* Is the value text (CTL_STR in sarg) and not a number (CTL_32 in iarg)? */
bool sysctl_is_text(enum sysctl_list list, size_t pos);

/* The path below /proc/sys, "net/ipv4/conf/eth0/forwarding". device is needed for the two conf lists.
 * False: no such position, or path does not fit. */
bool sysctl_path(enum sysctl_list list, size_t pos, const char *device, char *path, size_t size);

/* The other way: list and position of a path, and the device in it ("" if none). False: in no list. */
bool sysctl_of_path(const char *path, enum sysctl_list *list, size_t *pos, char *device,
		    size_t size);
