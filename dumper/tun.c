#include "dumper/tun.h"

#include <errno.h>
#include <limits.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "criu/fdinfo.pb-c.h"

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227) /* Linux 5.2 */
#endif

/* The namespace of the device, which may be another one than that of the descriptor: a device moves, its
 * descriptors stay. Without a device, or on an old kernel: where the descriptor was opened. */
static struct dump_netns *tun_netns(struct dump *d, int fd, bool attached,
				    struct dump_netns *holder, struct err *e)
{
	int ns_fd = attached ? ioctl(fd, TUNGETDEVNETNS) : -1;
	struct err why = ERR_INIT;
	struct ns *ns = ns_fd >= 0 ? ns_from_fd(ns_fd, e) : ns_of_socket(fd, &why);

	if (ns)
		return dump_netns_of(d, ns, e);
	return ns_fd >= 0 ? NULL : holder; /* ns_from_fd failed, with e set */
}

/* What a restored device has as a new one does. */
static int lose_sizes(struct dump *d, int fd, const TunfileEntry *tun, const char *owner,
		      struct err *e)
{
	int header = 0, send = INT_MAX;
	char object[128];

	snprintf(object, sizeof(object), "tun device %s (%s)", tun->netdev, owner);
	if (tun->nsimg_flags & IFF_VNET_HDR && !ioctl(fd, TUNGETVNETHDRSZ, &header) &&
	    header != sizeof(struct virtio_net_hdr) &&
	    dump_lose(d, e, object, "the size of its headers (TUNSETVNETHDRSZ %d) is not kept",
		      header))
		return -1;
	return !ioctl(fd, TUNGETSNDBUF, &send) && send != INT_MAX
		       ? dump_lose(d, e, object, "its send buffer (TUNSETSNDBUF %d) is not kept",
				   send)
		       : 0;
}

int tun_dump(struct dump *d, int fd, uint32_t file_id, struct dump_netns *holder_ns,
	     const char *owner, struct img_writer *files, struct err *e)
{
	FileEntry fe = FILE_ENTRY__INIT;
	TunfileEntry tun = TUNFILE_ENTRY__INIT;
	struct ifreq ifr = {0};
	bool attached = ioctl(fd, TUNGETIFF, &ifr) == 0;
	struct dump_netns *n;

	if (!attached && errno != EBADFD) /* EBADFD: no device yet (drivers/net/tun.c) */
		return err_sys(e, ERR_KERNEL, "tun device of %s", owner);
	n = tun_netns(d, fd, attached, holder_ns, e);
	if (!n)
		return err_wrap(e, "tun descriptor %s", owner);
	fe.type = FD_TYPES__TUNF;
	fe.id = tun.id = file_id;
	fe.tunf = &tun;
	tun.has_ns_id = 1;
	tun.ns_id = n->id;
	if (attached) {
		ifr.ifr_name[IFNAMSIZ - 1] = 0;
		tun.netdev = ifr.ifr_name;
		tun.has_detached = tun.detached = (ifr.ifr_flags & IFF_DETACH_QUEUE) != 0;
		tun.has_nsimg_flags = 1;
		tun.nsimg_flags = (uint16_t)ifr.ifr_flags;
		if (lose_sizes(d, fd, &tun, owner, e))
			return -1;
	}
	return img_write_message(files, &fe.base, e);
}
