/* Descriptors of tun and tap devices: the device is there already (made persistent by its own step), the
 * descriptor attaches to it by name. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "restorer/sk_make.h"

int sk_tun_create(struct sk_maker *m, const struct sk_file *f, struct err *e)
{
	/* tun_chr_open takes the network namespace of the process that opens */
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	struct ifreq ifr = {0};

	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "open /dev/net/tun");
	if (!f->tun.device || !*f->tun.device)
		return take_fd(&fd);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", f->tun.device);
	ifr.ifr_flags = (short)(f->tun.flags & ~(unsigned)IFF_PERSIST);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return err_sys(e, ERR_KERNEL, "attach to device %s", f->tun.device);
	/* of each descriptor, though it is set for all of the device (tun_set_sndbuf() in drivers/net/tun.c) */
	if (f->tun.sndbuf > 0 && ioctl(fd, TUNSETSNDBUF, &f->tun.sndbuf) &&
	    sk_note(m, f, e, "send buffer not set: %s", strerror(errno)))
		return -1;
	ifr.ifr_flags = IFF_DETACH_QUEUE;
	if (f->tun.detached && ioctl(fd, TUNSETQUEUE, &ifr) &&
	    sk_note(m, f, e, "queue not detached: %s", strerror(errno)))
		return -1;
	return take_fd(&fd);
}

/* A device that was not persistent lives as long as its descriptors, from now on. */
int sk_tun_finish(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	if (!f->tun.device || (f->tun.flags & IFF_PERSIST) || !ioctl(fd, TUNSETPERSIST, 0))
		return 0;
	return sk_note(m, f, e, "device %s stays persistent: %s", f->tun.device, strerror(errno));
}
