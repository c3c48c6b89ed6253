/* Packet sockets: rings before the bind, so that nothing is received into a queue that goes away. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <string.h>

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
	for (size_t i = 0; i < f->pk.n_members; i++) {
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
	if (f->type == SOCK_PACKET) {
		if (bind_by_name(f, fd, e))
			return -1;
	} else if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		return err_sys(e, ERR_KERNEL, "bind to device %d", f->pk.ifindex);
	}
	return join(m, f, fd, e);
}
