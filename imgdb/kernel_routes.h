/* kernel_routes.h: the routes that the kernel makes of an address, when somebody edited the address and not them.
 *
 * Owns:  which routes of the kernel (protocol kernel) follow an edited address, and which are left to the kernel.
 * For:   a copy in memory (db_copy) that is restored, or compared with what was restored. In a database that people
 *        keep, nsimg readdress changes them with the address (inspect/edit/readdress_kernel.h).
 */
#pragma once

#include "imgdb/db.h"

/* Was an address or a device edited? 1, 0, -1 */
int kernel_routes_are_touched(struct db *db, struct err *e);

/* Are there addresses that were changed and whose routes can follow? 1, 0, -1 */
int kernel_routes_have_moved(struct db *db, struct err *e);

/* Have them follow, as one operation: the same rows, so that their order stays. An address that came into another
 * network only when no other address of the device is in either of the two. */
int kernel_routes_follow(struct db *db, struct err *e);

/* Are the kernel's routes of a family left to the kernel in a namespace (netns.id)? So it is where addresses were
 * edited, or what their routes depend on of a device, and no routes of the image are known to fit. 1, 0, -1 */
int kernel_routes_are_left(struct db *db, int64_t netns, int family, struct err *e);

/* Take them away, and which IPv4 address is the primary one of its network. */
int kernel_routes_forget(struct db *db, int64_t netns, int family, struct err *e);
