/* sockopt_change.h: bring a socket option off its default, with plain setsockopt. */
#pragma once

#include <errno.h>
#include <linux/if.h>
#include <linux/net_tstamp.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "proto/sockopt_table.h"

/* Values for what a number cannot be guessed for. */
static const struct timeval change_seconds_12 = {12, 500000};
static const struct linger change_linger_5 = {1, 5};
static const uint32_t change_icmp_mask[8] = {0x100, 7};
static const uint32_t change_stamping[2] = {
	SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE, 0};
static const uint32_t change_txtime[2] = {1 /* CLOCK_MONOTONIC */,
					  2 /* SOF_TXTIME_REPORT_ERRORS */};
static const uint32_t change_loopback_be = 0x0100007f; /* 127.0.0.1 on a little-endian machine */
static const uint32_t change_index_1_be = 0x01000000;
static const uint32_t change_port_range = 40000 | 41000u << 16;
static const uint64_t change_rate = 125000000;
static const uint64_t change_vsock_size = 131072;
static const uint8_t change_router_alert[4] = {148, 4, 0, 0};         /* RFC 2113 */
static const uint8_t change_pad_header[8] = {0, 0, 1, 4, 0, 0, 0, 0}; /* RFC 8200: PadN */
static const uint8_t change_key16[16] = "0123456789abcdef";
static const int change_buffer = 40000;
static const int change_one = 1;

static const struct {
	const char *name;
	const void *value;
	socklen_t len;
} change_given[] = {
	{"SO_SNDTIMEO", &change_seconds_12, sizeof(change_seconds_12)},
	{"SO_RCVTIMEO", &change_seconds_12, sizeof(change_seconds_12)},
	{"SO_VM_SOCKETS_CONNECT_TIMEOUT", &change_seconds_12, sizeof(change_seconds_12)},
	{"SO_VM_SOCKETS_BUFFER_SIZE", &change_vsock_size, sizeof(change_vsock_size)},
	{"SO_VM_SOCKETS_BUFFER_MAX_SIZE", &change_rate, sizeof(change_rate)},
	{"SO_VM_SOCKETS_BUFFER_MIN_SIZE", &change_vsock_size, sizeof(change_vsock_size)},
	{"SO_LINGER", &change_linger_5, sizeof(change_linger_5)},
	{"SO_BINDTODEVICE", "lo", 3},
	{"SO_SNDBUF", &change_buffer, sizeof(change_buffer)},
	{"SO_RCVBUF", &change_buffer, sizeof(change_buffer)},
	{"SO_MAX_PACING_RATE", &change_rate, sizeof(change_rate)},
	{"SO_TIMESTAMPING", change_stamping, sizeof(change_stamping)},
	{"SO_TIMESTAMPING_NEW", change_stamping, sizeof(change_stamping)},
	{"SO_TXTIME", change_txtime, sizeof(change_txtime)},
	{"ICMP_FILTER", change_icmp_mask, 4},
	{"ICMPV6_FILTER", change_icmp_mask, 32},
	{"IP_MULTICAST_IF", &change_loopback_be, 4},
	{"IP_UNICAST_IF", &change_index_1_be, 4},
	{"IPV6_UNICAST_IF", &change_index_1_be, 4},
	{"IPV6_MULTICAST_IF", &change_one, 4},
	{"IP_LOCAL_PORT_RANGE", &change_port_range, 4},
	{"IP_OPTIONS", change_router_alert, 4},
	{"IPV6_HOPOPTS", change_pad_header, 8},
	{"IPV6_DSTOPTS", change_pad_header, 8},
	{"IPV6_RTHDRDSTOPTS", change_pad_header, 8},
	{"TCP_CONGESTION", "reno", 4},
	{"TCP_FASTOPEN_KEY", change_key16, sizeof(change_key16)},
};

/* Bring an option off its default with plain setsockopt; the raw value it has then. */
static inline bool change(int fd, const struct sockopt *row, void *raw, socklen_t *len)
{
	static const int guesses[] = {1, 0, 2, 3, 4, 8, 12, 16, 64, 100, 536, 1000, 40000, 200000};
	char before[256] = {0};
	socklen_t blen = sizeof(before);

	if (getsockopt(fd, row->level, row->opt, before, &blen) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(change_given); i++) {
		if (strcmp(change_given[i].name, row->name) != 0)
			continue;
		if (setsockopt(fd, row->level, row->opt, change_given[i].value,
			       change_given[i].len) != 0)
			return false;
		return getsockopt(fd, row->level, row->opt, raw, len) == 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(guesses); i++) {
		socklen_t n = *len;

		if (setsockopt(fd, row->level, row->opt, &guesses[i], sizeof(int)) != 0)
			continue;
		memset(raw, 0, n);
		if (getsockopt(fd, row->level, row->opt, raw, &n) != 0)
			return false;
		if (n == blen && memcmp(raw, before, n) != 0) {
			*len = n;
			return true;
		}
	}
	return false;
}

static inline int lo_up(void *arg, struct err *e)
{
	auto_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {.ifr_flags = IFF_UP};

	strcpy(ifr.ifr_name, "lo");
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) != 0)
		return err_sys(e, ERR_KERNEL, "lo up");
	return 0;
}
