/* settled.c: see settled.h. */
#include "settled.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IFA_DADFAILED = 0x08, IFA_TENTATIVE = 0x40 }; /* linux/if_addr.h */

static bool is_running(int fd, const char *name)
{
	struct ifreq r = {0};

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return !ioctl(fd, SIOCGIFFLAGS, &r) && (r.ifr_flags & IFF_UP) &&
	       (r.ifr_flags & IFF_RUNNING);
}

/* Has what the device is come to all who hear of it? Asking for the carrier of a device makes the kernel say now what
 * it would say later (linkwatch_sync_dev); the device above it then has its turn. */
static bool is_told(int fd, const char *name)
{
	struct ethtool_value carrier = {.cmd = ETHTOOL_GLINK};
	struct ifreq r = {.ifr_data = (void *)&carrier};
	bool was = is_running(fd, name);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &r))
		return true; /* a kind whose carrier never changes */
	return is_running(fd, name) == was && was == !!carrier.data;
}

static bool is_tentative(int fd, char *why, size_t size)
{
	FILE *f = fopen("/proc/thread-self/net/if_inet6", "r");
	char name[IFNAMSIZ], address[33];
	unsigned flags;
	bool found = false;

	while (f && !found && fscanf(f, "%32s %*s %*s %*s %x %15s", address, &flags, name) == 3)
		found = (flags & IFA_TENTATIVE) && !(flags & IFA_DADFAILED) && is_running(fd, name);
	if (found)
		snprintf(why, size, "address %s of %s is tentative", address, name);
	if (f)
		fclose(f);
	return found;
}

static bool is_quiet(int fd, char *why, size_t size)
{
	struct if_nameindex *list = if_nameindex();
	bool quiet = list;

	for (struct if_nameindex *i = list; quiet && i->if_index; i++) {
		quiet = is_told(fd, i->if_name);
		if (!quiet)
			snprintf(why, size, "device %s: its carrier", i->if_name);
	}
	if (list)
		if_freenameindex(list);
	return quiet && !is_tentative(fd, why, size);
}

bool is_settled(char *why, size_t size)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* twice: a carrier that was told may have given a device an address, and what ended detection
	 * adds routes before it lets go of the lock that asking for a carrier takes */
	bool is = fd >= 0 && is_quiet(fd, why, size) && is_quiet(fd, why, size);

	if (fd >= 0)
		close(fd);
	return is;
}

bool await_settled(const int *ns, size_t n, char *why, size_t size)
{
	snprintf(why, size, "cannot be asked");
	for (int ms = 0; ms < 30000; ms += 20) {
		size_t i = 0;

		while (i < n && !setns(ns[i], CLONE_NEWNET) && is_settled(why, size))
			i++;
		if (i == n)
			return true;
		usleep(20000);
	}
	return false;
}
