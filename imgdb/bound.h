/* bound.h: what a socket may be bound to, as a condition of SQL.
 *
 * Owns:  the condition, for check and for what is said before a restore.
 */
#pragma once

/* Is a an address that row x of table address gives its namespace? Also the last one of its network, whatever the row
 * says: that is its broadcast address (fib_add_ifaddr() in net/ipv4/fib_frontend.c). */
#define DB_ADDRESS_GIVES(x, a)                                                                     \
	"(" a " IN (" x ".address, " x ".broadcast, " x ".anycast) OR (" x ".family = 2 AND " x    \
	".prefixlen < 31 AND prefix_last(coalesce(" x ".peer, " x ".address) || '/' || " x         \
	".prefixlen) = " a "))"
