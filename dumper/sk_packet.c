/* packet(7) sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/packet_diag.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/nl.h"
#include "dumper/sk_read.h"

static int read_mclist(PacketSockEntry *psk, struct span list, struct err *e)
{
	size_t n = list.len / sizeof(struct packet_diag_mclist);

	psk->mclist = n ? sk_alloc(n * sizeof(*psk->mclist), e) : NULL;
	if (n && !psk->mclist)
		return -1;
	for (size_t i = 0; i < n; i++) {
		PacketMclist *out = sk_new(PacketMclist, packet_mclist, e);
		struct packet_diag_mclist m;

		if (!out)
			return -1;
		psk->mclist[psk->n_mclist++] = out;
		memcpy(&m, list.data + i * sizeof(m), sizeof(m));
		out->index = m.pdmc_index;
		out->type = m.pdmc_type;
		if (sk_put_bytes(&out->addr, m.pdmc_addr,
				 m.pdmc_alen < sizeof(m.pdmc_addr) ? m.pdmc_alen
								   : sizeof(m.pdmc_addr),
				 e) != 0)
			return -1;
	}
	return 0;
}

static int read_ring(PacketRing **out, struct span cfg, struct err *e)
{
	struct packet_diag_ring ring;

	if (cfg.len < sizeof(ring))
		return 0;
	memcpy(&ring, cfg.data, sizeof(ring));
	*out = sk_new(PacketRing, packet_ring, e);
	if (!*out)
		return -1;
	(*out)->block_size = ring.pdr_block_size;
	(*out)->block_nr = ring.pdr_block_nr;
	(*out)->frame_size = ring.pdr_frame_size;
	(*out)->frame_nr = ring.pdr_frame_nr;
	(*out)->retire_tmo = ring.pdr_retire_tmo;
	(*out)->sizeof_priv = ring.pdr_sizeof_priv;
	(*out)->features = ring.pdr_features;
	return 0;
}

static struct span attr(const struct diag_sk *sk, uint16_t type)
{
	const struct nlattr *a = nl_attr_find(sk->attrs, type);

	return a ? nl_attr_data(a) : (struct span){0};
}

static int note_fanout_program(const struct sk_read *r, unsigned type, struct err *e)
{
	if (type != PACKET_FANOUT_CBPF && type != PACKET_FANOUT_EBPF)
		return 0;
	return dump_lose(r->d, e, r->object,
			 "the program that chooses in its fanout group (PACKET_FANOUT_DATA): the "
			 "kernel does not give it out");
}

/* What only packet_diag tells: memberships, rings, and whether a fanout group 0 of type 0 is one. */
static int read_diag(struct sk_read *r, PacketSockEntry *psk, const struct diag_sk *sk,
		     struct err *e)
{
	const struct packet_diag_msg *m = sk->msg;
	struct span info = attr(sk, PACKET_DIAG_INFO);
	struct packet_diag_info pdi;

	psk->protocol = htons(m->pdiag_num);
	if (info.len >= sizeof(pdi)) {
		memcpy(&pdi, info.data, sizeof(pdi));
		psk->ifindex = pdi.pdi_index;
		psk->copy_thresh = pdi.pdi_copy_thresh;
	}
	if (attr(sk, PACKET_DIAG_FANOUT).len >= sizeof(uint32_t)) {
		psk->has_fanout = 1;
		psk->fanout = (uint32_t)sk_int(r->s->fd, SOL_PACKET, PACKET_FANOUT, 0);
		if (note_fanout_program(r, psk->fanout >> 16 & 0xff, e))
			return -1;
	}
	if (read_mclist(psk, attr(sk, PACKET_DIAG_MCLIST), e) != 0 ||
	    read_ring(&psk->rx_ring, attr(sk, PACKET_DIAG_RX_RING), e) != 0)
		return -1;
	return read_ring(&psk->tx_ring, attr(sk, PACKET_DIAG_TX_RING), e);
}

static int read_state(struct sk_read *r, PacketSockEntry *psk, struct err *e)
{
	const struct sockaddr_ll *ll = (const void *)&r->local;
	struct diag_sk sk;
	int got = diag_find(r->diag, DIAG_PACKET, r->s->ino, &sk, e);

	if (got == 1)
		return read_diag(r, psk, &sk, e);
	if (got < 0)
		return -1;
	/* getsockname of an old SOCK_PACKET socket has the name of the device instead */
	if (r->type != SOCK_PACKET && r->local_len >= sizeof(*ll) - sizeof(ll->sll_addr)) {
		psk->protocol = ll->sll_protocol;
		psk->ifindex = (uint32_t)ll->sll_ifindex;
	} else {
		psk->protocol = (uint16_t)r->protocol;
	}
	return dump_lose(r->d, e, r->object,
			 "sock_diag does not show it: memberships and rings are unknown");
}

int sk_packet_read(struct sk_read *r, FileEntry *fe, struct err *e)
{
	PacketSockEntry *psk = sk_new(PacketSockEntry, packet_sock_entry, e);

	fe->psk = psk;
	if (!psk) {
		nsimg_sk__free_unpacked(r->extra, NULL);
		return -1;
	}
	psk->nsimg = r->extra;
	psk->id = r->s->file_id;
	psk->type = (uint32_t)r->type;
	psk->flags = r->flags;
	psk->has_ns_id = 1;
	psk->ns_id = r->s->netns->id;
	psk->fown = sk_fown(r, e);
	psk->opts = psk->fown ? sk_new(SkOptsEntry, sk_opts_entry, e) : NULL;
	if (!psk->opts || sk_options(r, &psk->base, e) != 0 || read_state(r, psk, e) != 0)
		return -1;
	return sk_queues(r, e);
}
