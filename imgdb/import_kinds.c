#include "base/cleanup.h"
#include "imgdb/import_int.h"

/* What other rows refer to comes first. */
/* clang-format off */
const struct import_kind import_kinds[] = {
	{IMG_INVENTORY, import_inventory, false},
	{IMG_NSIMG, import_facts, false},
	{IMG_USERNS, import_userns, false},
	{IMG_NETNS, import_netns, true},
	{IMG_PSTREE, import_pstree, false},
	{IMG_IDS, import_ids, false},
	{IMG_CORE, import_core, false},
	{IMG_NETDEV, import_device, true},
	{IMG_NSIMG_SYSCTL, import_sysctl, true},
	{IMG_IFADDR, import_nl, true},
	{IMG_ROUTE, import_nl, true},
	{IMG_ROUTE6, import_nl, true},
	{IMG_RULE, import_nl, true},
	{IMG_NSIMG_RTNL, import_rtnl, true},
	{IMG_NFTABLES, import_text, true},
	{IMG_IPTABLES, import_text, true},
	{IMG_IP6TABLES, import_text, true},
	{IMG_NETNF_CT, import_nl, true},
	{IMG_NETNF_EXP, import_nl, true},
	{IMG_FDINFO, import_fd, false},
	{IMG_FILES, import_files, false},
	{IMG_INETSK, import_socket, false},
	{IMG_UNIXSK, import_socket, false},
	{IMG_NETLINK_SK, import_socket, false},
	{IMG_PACKETSK, import_socket, false},
	{IMG_NSIMG_SK, import_socket, false},
	{IMG_TUNFILE, import_socket, false},
	{IMG_NS_FILES, import_socket, false},
	{IMG_TCP_STREAM, import_tcp, false},
	{IMG_SK_QUEUES, import_queue, false},
	{IMG_PAGEMAP, import_pagemap, false},
	{IMG_SHMEM_PAGEMAP, import_pagemap, false},
};
/* clang-format on */
const size_t import_n_kinds = ARRAY_SIZE(import_kinds);
