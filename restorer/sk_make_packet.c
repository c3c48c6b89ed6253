/* Packet sockets: rings before the bind, so that nothing is received into a queue that goes away. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "restorer/sk_make.h"

static int packet_version(int fd)
{
	int version = TPACKET_V1;
	socklen_t len = sizeof(version);

	getsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, &len);
	return version;
}

static int set_ring(struct sk_maker *m, const struct sk_file *f, int fd, int opt,
		    const struct tpacket_req3 *ring, struct err *e)
{
	/* struct tpacket_req is the beginning of tpacket_req3; version 1 and 2 take only that */
	socklen_t len = packet_version(fd) == TPACKET_V3 ? sizeof(struct tpacket_req3)
							 : sizeof(struct tpacket_req);

	if (!ring->tp_block_nr || !setsockopt(fd, SOL_PACKET, opt, ring, len))
		return 0;
	return sk_note(m, f, e, "%s ring of %u blocks not made: %s",
		       opt == PACKET_RX_RING ? "receive" : "send", ring->tp_block_nr,
		       strerror(errno));
}

static int join(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	/* the kernel's list begins with the youngest (packet_mc_add) */
	for (size_t i = f->pk.n_members; i-- > 0;) {
		const struct sk_packet_member *p = &f->pk.members[i];
		struct {
			struct packet_mreq req;
			uint8_t more[24]; /* the kernel takes addresses up to MAX_ADDR_LEN (32) */
		} mreq = {.req = {p->ifindex, p->type, p->alen, {0}}};

		memcpy((uint8_t *)&mreq + offsetof(struct packet_mreq, mr_address), p->addr,
		       p->alen);
		if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) &&
		    sk_note(m, f, e, "membership of type %u on device %d: %s", p->type, p->ifindex,
			    strerror(errno)))
			return -1;
	}
	return 0;
}

/* SOCK_PACKET is bound by the name of the device (packet(7), "Compatibility"). */
static int bind_by_name(const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr addr = {.sa_family = AF_PACKET};
	char name[IF_NAMESIZE] = "";

	if (!f->pk.ifindex)
		return 0;
	if (!if_indextoname((unsigned)f->pk.ifindex, name))
		return err_sys(e, ERR_KERNEL, "device %d", f->pk.ifindex);
	memcpy(addr.sa_data, name, strnlen(name, sizeof(addr.sa_data) - 1));
	if (bind(fd, &addr, sizeof(addr)))
		return err_sys(e, ERR_KERNEL, "bind to device %s", name);
	return 0;
}

/* Its device is gone (index -1, packet_notifier): bound to one that goes. A group of PACKET_FANOUT it has left. */
static int bind_to_lost(const struct sk_file *f, int fd, struct sockaddr_ll *addr, struct err *e)
{
	struct sockaddr by_name = {.sa_family = AF_PACKET};
	auto_close int device = -1;
	char name[IF_NAMESIZE];
	int rc;

	device = sk_device_for_a_moment(&addr->sll_ifindex, name, e);
	if (device < 0)
		return -1;
	memcpy(by_name.sa_data, name, strnlen(name, sizeof(by_name.sa_data) - 1));
	rc = f->type == SOCK_PACKET ? bind(fd, &by_name, sizeof(by_name))
				    : bind(fd, (struct sockaddr *)addr, sizeof(*addr));
	return rc ? err_sys(e, ERR_KERNEL, "bind to device %s", name) : 0;
}

/* Left out when there can be no device for it. */
static int bind_lost(struct sk_maker *m, const struct sk_file *f, int fd, struct sockaddr_ll *addr,
		     struct err *e)
{
	struct err why = ERR_INIT;

	addr->sll_ifindex = 0;
	if (!bind_to_lost(f, fd, addr, &why))
		return join(m, f, fd, e);
	return sk_note(m, f, e, "left out: %s", why.msg) ? -1 : -2;
}

int sk_packet_bind(struct sk_maker *m, const struct sk_file *f, int fd, struct err *e)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol =
			(uint16_t)f->protocol, /* kept as the kernel has it: network order */
		.sll_ifindex = f->pk.ifindex,
	};

	if (set_ring(m, f, fd, PACKET_RX_RING, &f->pk.rx, e) ||
	    set_ring(m, f, fd, PACKET_TX_RING, &f->pk.tx, e))
		return -1;
	if (sk_lost_device(f))
		return bind_lost(m, f, fd, &addr, e);
	if (f->type == SOCK_PACKET) {
		if (bind_by_name(f, fd, e))
			return -1;
	} else if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		return err_sys(e, ERR_KERNEL, "bind to device %d", f->pk.ifindex);
	}
	return join(m, f, fd, e);
}
