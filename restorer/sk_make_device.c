/* A device for a moment: sockets outlive the device that they were bound to, and to get there again they have to be
 * bound to one that then goes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "restorer/sk_make.h"

#define ANY_TRIES 16

/* An index from the top where any will do: the kernel counts on from the highest that it chose itself. */
static int make_tun(int fd, int ifindex, char name[IF_NAMESIZE])
{
	struct ifreq ifr = {.ifr_flags = IFF_TUN | IFF_NO_PI};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "nsimg-gone%%d");
	if (ioctl(fd, TUNSETIFINDEX, &ifindex) || ioctl(fd, TUNSETIFF, &ifr))
		return -1;
	memcpy(name, ifr.ifr_name, IF_NAMESIZE);
	return 0;
}

int sk_device_for_a_moment(int *ifindex, char name[IF_NAMESIZE], struct err *e)
{
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int tries = *ifindex ? 1 : ANY_TRIES, index = *ifindex ? *ifindex : INT_MAX;

	if (fd < 0)
		return err_sys(e, ERR_KERNEL, "open /dev/net/tun for a device of a moment");
	for (; tries > 0; tries--, index--) {
		if (!make_tun(fd, index, name)) {
			*ifindex = index;
			return take_fd(&fd);
		}
		if (errno != EBUSY && errno != EEXIST)
			break;
	}
	if (errno == EBUSY || errno == EEXIST)
		return err_sys(e, ERR_CONFLICT, "another device has index %d now", index);
	return err_sys(e, ERR_KERNEL, "make a device with index %d for a moment", index);
}

int sk_lost_ifindex(const struct sk_file *f)
{
	int index = 0;

	if (f->kind != SK_INET)
		return 0; /* nothing of another family asks for the device */
	for (size_t i = 0; i < f->n_options; i++)
		if (f->options[i].row && (f->options[i].row->flags & SOCKOPT_NO_DEVICE) &&
		    f->options[i].value.len == sizeof(index))
			memcpy(&index, f->options[i].value.data, sizeof(index));
	return index;
}

bool sk_lost_device(const struct sk_file *f)
{
	return f->kind == SK_PACKET ? f->pk.ifindex == -1 : sk_lost_ifindex(f) > 0;
}
