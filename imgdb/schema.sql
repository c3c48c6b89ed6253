-- nsimg image database (schema version: PRAGMA user_version).
--
-- One file holds many images; everything hangs off image(id). Rows of image data know the record they
-- came from: file (image_file.id), rec (number of the entry in the file, from 0) and off (byte offset of
-- the entry in the file; for protobuf files of its length word, for raw netlink files of its nlmsghdr).
-- A row with file NULL was added by an edit.
--
-- The database must be able to hold a broken image, so constraints on rows are lexical only: types,
-- ranges, canonical text, each named with a sentence because SQLite prints the name. Foreign keys are
-- declared for readers and tools. Triggers (triggers.sql, made from the list of tables) refuse edits that
-- create new damage and keep the edit log.
--
-- Conventions: addresses are canonical text ('10.0.0.1', 'fd00::1', '02:00:00:00:00:01'), prefixes
-- '10.0.0.0/24' or 'default'; names are text with one reversible escape (bytes below 0x20, 0x7f, backslash
-- and invalid UTF-8 as \xNN, backslash itself as \\; an abstract unix name begins with \x00); a uint64 is its
-- 64 bits in INTEGER; JSON columns hold valid JSON; family, type, protocol and state are the kernel's
-- numbers, the views have the words.

CREATE TABLE image (
	id           INTEGER PRIMARY KEY,
	name         TEXT NOT NULL,             -- what the user calls it: file name of the source
	format       TEXT NOT NULL,             -- 'criu' or 'nsimg': who wrote it
	source       TEXT NOT NULL,             -- path it was imported from
	source_kind  TEXT NOT NULL,             -- 'directory', 'archive', or 'live': a dump straight into the database
	evidence     TEXT NOT NULL,             -- SHA-256 over names, sizes and hashes of the files
	img_version  INTEGER,                   -- inventory_entry.img_version
	root_pid     INTEGER,                   -- the first task of pstree
	root_ns_id   INTEGER,                   -- inventory_entry.root_ids.net_ns_id
	lock_method  INTEGER,                   -- inventory_entry.network_lock_method
	host         TEXT,                      -- nsimg_facts_entry: where it was dumped
	kernel       TEXT,
	arch         TEXT,
	boot_id      TEXT,
	dump_tool    TEXT,
	dump_target  TEXT,
	dumped_at    TEXT,                      -- ISO 8601, UTC
	imported_at  TEXT NOT NULL,             -- ISO 8601, UTC
	imported_by  TEXT NOT NULL,             -- user@host
	tool         TEXT NOT NULL,             -- version that imported it
	CONSTRAINT "image.format is criu or nsimg" CHECK (format IN ('criu', 'nsimg')),
	CONSTRAINT "image.source_kind is directory, archive or live" CHECK (source_kind IN ('directory', 'archive', 'live'))
) STRICT;

-- Facts about the image that have no column: config.dump, spec.dump, network.status of an archive.
CREATE TABLE image_fact (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file         INTEGER REFERENCES image_file(id),
	key          TEXT NOT NULL,
	value        TEXT NOT NULL
) STRICT;

-- What could not be kept by the dump ('loss'), what was damaged ('damage'), what import ignored ('unknown').
CREATE TABLE note (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file         INTEGER REFERENCES image_file(id),
	rec          INTEGER,
	off          INTEGER,
	kind         TEXT NOT NULL,
	object       TEXT NOT NULL,
	reason       TEXT NOT NULL,
	CONSTRAINT "note.kind is loss, damage or unknown" CHECK (kind IN ('loss', 'damage', 'unknown'))
) STRICT;

CREATE TABLE image_file (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	name         TEXT NOT NULL,             -- path inside the image, escaped
	kind         TEXT,                      -- INVENTORY, FILES, ... ; NULL: not an image file we know
	number       INTEGER,                   -- the number in the name (namespace id, pid, inode)
	size         INTEGER NOT NULL,          -- bytes
	sha256       TEXT NOT NULL,
	mode         INTEGER,                   -- permission bits of the source file
	n_records    INTEGER,
	n_unknown    INTEGER,                   -- fields in its records that this version does not know
	damage       TEXT,                      -- first thing that is wrong with it, NULL: nothing
	damage_off   INTEGER,
	content      BLOB,                      -- NULL: kept by reference (pages), below image.source
	UNIQUE (image, name)
) STRICT;

-- What an archive or a folder has beside the bytes of its files; of an archive in the order of its members.
CREATE TABLE image_member (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file         INTEGER REFERENCES image_file(id), -- NULL: a folder, link or fifo
	name         TEXT NOT NULL,             -- as the archive has it, escaped
	type         TEXT NOT NULL,             -- 'file', 'folder', 'symlink', 'hardlink', 'fifo', 'other'
	mode         INTEGER NOT NULL,          -- permission bits
	uid          INTEGER NOT NULL,
	gid          INTEGER NOT NULL,
	uname        TEXT,
	gname        TEXT,
	mtime        INTEGER NOT NULL,          -- seconds since 1970
	mtime_ns     INTEGER NOT NULL,
	link         TEXT,                      -- target of a link, escaped
	CONSTRAINT "image_member.type is file, folder, symlink, hardlink, fifo or other" CHECK
		(type IN ('file', 'folder', 'symlink', 'hardlink', 'fifo', 'other'))
) STRICT;

-- Text that a container engine put beside the image and reads again when it restores: network.status,
-- config.dump, spec.dump of an archive. What an edit makes of it is exported.
CREATE TABLE engine_file (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	name         TEXT NOT NULL,             -- of the file, without folder
	content      TEXT NOT NULL              -- JSON, all of the file
) STRICT;

CREATE TABLE userns (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	ns_id        INTEGER NOT NULL,          -- number of userns-N.img
	parent       INTEGER,                   -- ns_id of the parent, NULL: the dumper's own or unknown
	ino          INTEGER,
	owner_uid    INTEGER,
	setgroups    TEXT,                      -- 'allow' or 'deny'
	external     INTEGER NOT NULL DEFAULT 0, -- 1: the dumper's own, not made on restore
	uid_map      TEXT NOT NULL DEFAULT '[]', -- JSON [[first, lower_first, count], ...]
	gid_map      TEXT NOT NULL DEFAULT '[]',
	CONSTRAINT "userns.uid_map is JSON" CHECK (json_valid(uid_map)),
	CONSTRAINT "userns.gid_map is JSON" CHECK (json_valid(gid_map))
) STRICT;

CREATE TABLE netns (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	ns_id        INTEGER NOT NULL,          -- number N of netns-N.img, also in ids and ns_id of sockets
	name         TEXT,                      -- last part of its first pin, else 'nsN'; what the user calls it
	pins         TEXT NOT NULL DEFAULT '[]', -- JSON array of the paths where it is pinned
	ext_key      TEXT,                      -- CRIU does not make it, it is given at restore time
	external     INTEGER NOT NULL DEFAULT 0, -- 1: only referred to, its content is not in the image
	caller       INTEGER NOT NULL DEFAULT 0, -- 1: it was the dumper's own
	owner        INTEGER,                   -- userns.ns_id that owns it
	ino          INTEGER,
	cookie       INTEGER,
	CONSTRAINT "netns.pins is JSON" CHECK (json_valid(pins)),
	CONSTRAINT "netns.external is 0 or 1" CHECK (external IN (0, 1))
) STRICT;

-- Which id a namespace uses for another (ip netns set).
CREATE TABLE nsid (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	target       INTEGER NOT NULL REFERENCES netns(id), -- the namespace meant
	value        INTEGER NOT NULL
) STRICT;

CREATE TABLE device (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	ifindex      INTEGER NOT NULL,
	name         TEXT NOT NULL,
	kind         TEXT,                      -- 'veth', 'bridge', ... (IFLA_INFO_KIND); lo has 'loopback'
	nd_type      INTEGER,                   -- CRIU's nd_type
	flags        INTEGER NOT NULL,          -- IFF_*
	mtu          INTEGER,
	address      TEXT,                      -- MAC
	broadcast    TEXT,
	alias        TEXT,
	altnames     TEXT,                      -- JSON array
	txqlen       INTEGER,
	"group"      INTEGER,                   -- IFLA_GROUP
	operstate    INTEGER,
	link         INTEGER,                   -- IFLA_LINK: ifindex of the lower device or veth peer
	link_netnsid INTEGER,                   -- IFLA_LINK_NETNSID: in which namespace that is (nsid)
	peer_netns   INTEGER REFERENCES netns(id), -- veth and other stacked links: namespace of "link", resolved
	master       INTEGER,                   -- ifindex of the master, same namespace
	attrs        TEXT,                      -- JSON of IFLA_INFO_DATA: {"id":42,...}
	port_kind    TEXT,                      -- IFLA_INFO_SLAVE_KIND
	port_attrs   TEXT,                      -- JSON of IFLA_INFO_SLAVE_DATA
	other        TEXT,                      -- JSON of the attributes without a column
	CONSTRAINT "device.attrs is JSON" CHECK (attrs IS NULL OR json_valid(attrs)),
	CONSTRAINT "device.port_attrs is JSON" CHECK (port_attrs IS NULL OR json_valid(port_attrs)),
	CONSTRAINT "device.altnames is JSON" CHECK (altnames IS NULL OR json_valid(altnames)),
	CONSTRAINT "device.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE address (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	ifindex      INTEGER NOT NULL,
	family       INTEGER NOT NULL,          -- 2 AF_INET, 10 AF_INET6
	address      TEXT,                      -- the local address
	peer         TEXT,                      -- the other end, where it differs (point to point)
	prefixlen    INTEGER NOT NULL,
	broadcast    TEXT,
	anycast      TEXT,
	label        TEXT,
	flags        INTEGER NOT NULL DEFAULT 0, -- IFA_F_*
	scope        INTEGER NOT NULL DEFAULT 0,
	valid_lft    INTEGER,                   -- seconds, 4294967295 for ever
	preferred_lft INTEGER,
	metric       INTEGER,                   -- IFA_RT_PRIORITY
	proto        INTEGER,                   -- IFA_PROTO
	other        TEXT,
	CONSTRAINT "address.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE route (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	family       INTEGER NOT NULL,
	dst          TEXT NOT NULL,             -- '10.0.0.0/24', '10.0.0.1', 'default'
	src          TEXT,                      -- source prefix (IPv6 source routing)
	"table"      INTEGER NOT NULL,          -- 254 main, 255 local
	type         INTEGER NOT NULL,          -- RTN_*
	protocol     INTEGER NOT NULL,          -- RTPROT_*
	scope        INTEGER NOT NULL,
	tos          INTEGER NOT NULL DEFAULT 0,
	flags        INTEGER NOT NULL DEFAULT 0, -- RTNH_F_*
	priority     INTEGER,                   -- metric
	oif          INTEGER,                   -- ifindex
	iif          INTEGER,
	gateway      TEXT,
	via          TEXT,                      -- gateway of the other family
	prefsrc      TEXT,
	nh_id        INTEGER,
	pref         INTEGER,
	metrics      TEXT,                      -- JSON {"mtu":1400,...}
	multipath    TEXT,                      -- JSON [{"gateway":..,"oif":..,"weight":..,"flags":..}]
	other        TEXT,
	CONSTRAINT "route.metrics is JSON" CHECK (metrics IS NULL OR json_valid(metrics)),
	CONSTRAINT "route.multipath is JSON" CHECK (multipath IS NULL OR json_valid(multipath)),
	CONSTRAINT "route.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE rule (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	family       INTEGER NOT NULL,
	priority     INTEGER NOT NULL DEFAULT 0,
	action       INTEGER NOT NULL,          -- FR_ACT_*
	"table"      INTEGER,
	src          TEXT,                      -- prefix, NULL: all
	dst          TEXT,
	iif          TEXT,                      -- device name
	oif          TEXT,
	fwmark       INTEGER,
	fwmask       INTEGER,
	tos          INTEGER NOT NULL DEFAULT 0,
	goto         INTEGER,                   -- priority of the rule to go to
	flags        INTEGER NOT NULL DEFAULT 0, -- FIB_RULE_*; 2 is "not"
	ipproto      INTEGER,
	sport        TEXT,                      -- '80' or '80-90'
	dport        TEXT,
	uidrange     TEXT,                      -- '0-1000'
	suppress_prefixlength INTEGER,
	suppress_ifgroup INTEGER,
	tun_id       INTEGER,
	l3mdev       INTEGER,
	protocol     INTEGER,
	other        TEXT,
	CONSTRAINT "rule.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

-- Neighbours, proxy neighbours (flags 8) and, with family 7 (AF_BRIDGE), entries of the fdb.
CREATE TABLE neighbour (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	ifindex      INTEGER NOT NULL,
	family       INTEGER NOT NULL,
	dst          TEXT,
	lladdr       TEXT,
	state        INTEGER NOT NULL,          -- NUD_*
	flags        INTEGER NOT NULL DEFAULT 0, -- NTF_*
	type         INTEGER NOT NULL DEFAULT 0,
	master       INTEGER,
	vlan         INTEGER,
	port         INTEGER,
	vni          INTEGER,
	nh_id        INTEGER,
	protocol     INTEGER,
	other        TEXT,
	CONSTRAINT "neighbour.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE nexthop (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	nh_id        INTEGER NOT NULL,
	family       INTEGER NOT NULL,
	gateway      TEXT,
	oif          INTEGER,
	blackhole    INTEGER NOT NULL DEFAULT 0,
	fdb          INTEGER NOT NULL DEFAULT 0,
	"group"      TEXT,                      -- JSON [{"id":1,"weight":1}]
	group_type   INTEGER,
	protocol     INTEGER NOT NULL DEFAULT 0,
	scope        INTEGER NOT NULL DEFAULT 0,
	flags        INTEGER NOT NULL DEFAULT 0,
	other        TEXT,
	CONSTRAINT "nexthop.group is JSON" CHECK ("group" IS NULL OR json_valid("group")),
	CONSTRAINT "nexthop.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

-- qdiscs, classes, filters (tc), bridge vlans and groups, static multicast addresses, MPTCP: netlink messages
-- with few columns.
CREATE TABLE traffic_control (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	what         TEXT NOT NULL,             -- 'qdisc', 'class', 'filter', 'vlan', 'mdb', 'maddress', ..., 'msg_NN'
	ifindex      INTEGER,
	kind         TEXT,                      -- 'htb', 'u32', ...
	handle       INTEGER,
	parent       INTEGER,
	info         INTEGER,                   -- priority and protocol of a filter; length of the prefix of an address label
	other        TEXT,                      -- JSON of the attributes
	CONSTRAINT "traffic_control.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE sysctl (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	name         TEXT NOT NULL,             -- 'net/ipv4/conf/eth0/rp_filter'
	value        TEXT NOT NULL,             -- as read, without the final newline, escaped
	path         TEXT                       -- field path inside the record: 'conf4[21]', 'value'
) STRICT;

CREATE TABLE firewall (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	format       TEXT NOT NULL,             -- 'nftables', 'iptables', 'ip6tables'
	content      TEXT NOT NULL,             -- the ruleset as the tool printed it
	CONSTRAINT "firewall.format is nftables, iptables or ip6tables"
		CHECK (format IN ('nftables', 'iptables', 'ip6tables'))
) STRICT;

CREATE TABLE conntrack (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	netns        INTEGER NOT NULL REFERENCES netns(id),
	expect       INTEGER NOT NULL DEFAULT 0, -- 1: from the expectation image
	family       INTEGER NOT NULL,
	proto        INTEGER,
	src          TEXT, dst TEXT, sport INTEGER, dport INTEGER,
	reply_src    TEXT, reply_dst TEXT, reply_sport INTEGER, reply_dport INTEGER,
	status       INTEGER,
	timeout      INTEGER,                   -- seconds left
	mark         INTEGER,
	zone         INTEGER,
	tcp_state    INTEGER,
	other        TEXT,
	CONSTRAINT "conntrack.other is JSON" CHECK (other IS NULL OR json_valid(other))
) STRICT;

CREATE TABLE task (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER, -- the pstree entry
	pid          INTEGER NOT NULL,
	ppid         INTEGER NOT NULL,
	pgid         INTEGER,
	sid          INTEGER,
	comm         TEXT,                      -- core_entry.tc.comm
	state        INTEGER,                   -- core_entry.tc.task_state
	files_id     INTEGER,                   -- fdinfo-N.img
	ns_id        INTEGER,                   -- netns.ns_id of the task's namespace (ids or core)
	netns        INTEGER REFERENCES netns(id),
	userns       INTEGER,                   -- userns.ns_id
	pidns        INTEGER,
	mntns        INTEGER
) STRICT;

-- Threads other than the leader.
CREATE TABLE thread (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	task         INTEGER NOT NULL REFERENCES task(id),
	tid          INTEGER NOT NULL,
	comm         TEXT,
	netns        INTEGER REFERENCES netns(id) -- NULL: the task's
) STRICT;

CREATE TABLE fd (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	files_id     INTEGER NOT NULL,          -- task.files_id; several tasks may share one
	fd           INTEGER NOT NULL,
	file_id      INTEGER NOT NULL,          -- socket.file_id, tun_file.file_id, ns_file.file_id
	type         INTEGER NOT NULL,          -- CRIU's fd_types: 4 INETSK, 5 UNIXSK, 10 PACKETSK, 13 NETLINKSK ...
	flags        INTEGER NOT NULL DEFAULT 0 -- 1: close-on-exec
) STRICT;

CREATE TABLE socket (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	file_id      INTEGER NOT NULL,          -- file_entry.id
	ino          INTEGER,                   -- inode
	ns_id        INTEGER,                   -- as in the record; NULL: the root task's namespace
	netns        INTEGER REFERENCES netns(id), -- resolved
	family       INTEGER NOT NULL,          -- AF_*
	type         INTEGER NOT NULL,          -- SOCK_*
	protocol     INTEGER NOT NULL,
	state        INTEGER,                   -- TCP_* numbers for all families
	flags        INTEGER,                   -- open(2) flags
	shutdown     INTEGER,                   -- 0 none, 1 read, 2 write, 3 both
	fown         TEXT,                      -- JSON {"uid":..,"euid":..,"signum":..,"pid_type":..,"pid":..}
	so_sndbuf INTEGER, so_rcvbuf INTEGER,
	so_snd_tmo_sec INTEGER, so_snd_tmo_usec INTEGER, so_rcv_tmo_sec INTEGER, so_rcv_tmo_usec INTEGER,
	reuseaddr INTEGER, so_reuseport INTEGER, so_priority INTEGER, so_rcvlowat INTEGER, so_mark INTEGER,
	so_passcred INTEGER, so_passsec INTEGER, so_dontroute INTEGER, so_no_check INTEGER, so_bound_dev TEXT,
	so_filter    BLOB,                      -- classic BPF: 8 bytes an instruction, a little-endian number of code (16 bits), jt, jf (8), k (32)
	so_broadcast INTEGER, so_keepalive INTEGER, tcp_keepcnt INTEGER, tcp_keepidle INTEGER,
	tcp_keepintvl INTEGER, so_oobinline INTEGER, so_linger INTEGER, so_buf_lock INTEGER,
	options      TEXT,                      -- JSON {"IP_MTU_DISCOVER":2,"TCP_FASTOPEN":5,"X":"hex:0102"}: what CRIU has no field for, non-default only
	memberships  TEXT,                      -- JSON [{"group":"239.1.2.3","ifindex":2,"mode":0,"sources":[]}]
	cookie       INTEGER,
	inq_len      INTEGER,                   -- bytes waiting to be read
	outq_len     INTEGER,                   -- bytes not sent or not acknowledged
	uid          INTEGER,                   -- owner of the socket
	bpf_filter   INTEGER,                   -- 1: an eBPF program is attached, which cannot be read
	local_addr   BLOB,                      -- struct sockaddr of a socket CRIU has no record for
	peer_addr    BLOB,                      -- the same of the peer; of a unix datagram socket: of the peer that is closed, or has a name
	other_backlog INTEGER,                  -- listen backlog of a socket CRIU has no record for
	CONSTRAINT "socket.fown is JSON" CHECK (fown IS NULL OR json_valid(fown)),
	CONSTRAINT "socket.options is JSON" CHECK (options IS NULL OR json_valid(options)),
	CONSTRAINT "socket.memberships is JSON" CHECK (memberships IS NULL OR json_valid(memberships))
) STRICT;

CREATE TABLE inet_socket (
	socket       INTEGER PRIMARY KEY REFERENCES socket(id) ON DELETE CASCADE,
	src          TEXT,                      -- '0.0.0.0', '::1'
	src_port     INTEGER NOT NULL,
	dst          TEXT,
	dst_port     INTEGER NOT NULL,
	src_scope    INTEGER,                   -- sin6_scope_id
	dst_scope    INTEGER,
	backlog      INTEGER,
	v6only       INTEGER,
	ifname       TEXT,                      -- scope device of a link-local address, CRIU's way
	freebind INTEGER, pktinfo INTEGER, tos INTEGER, ttl INTEGER,
	hdrincl INTEGER, nodefrag INTEGER, checksum INTEGER,
	icmpv_filter TEXT,                      -- JSON array
	cork INTEGER, nodelay INTEGER, keepcnt INTEGER, keepidle INTEGER, keepintvl INTEGER,
	n_unaccepted INTEGER,                   -- listener: connections waiting in the accept queue
	rcv_mss      INTEGER,
	icmp_filter  BLOB,                      -- struct icmp_filter or icmp6_filter
	tcp_info     BLOB,                      -- struct tcp_info as the kernel filled it
	bind_order   INTEGER                    -- SO_REUSEPORT: its place among the sockets of its address, from 0
) STRICT;

CREATE TABLE unix_socket (
	socket       INTEGER PRIMARY KEY REFERENCES socket(id) ON DELETE CASCADE,
	name         TEXT,                      -- escaped; '' unnamed; begins with \x00: abstract
	name_dir     TEXT,
	peer         INTEGER NOT NULL,          -- ino of the other end, 0: none
	uflags       INTEGER,
	backlog      INTEGER,
	deleted      INTEGER,
	mode INTEGER, uid INTEGER, gid INTEGER, -- of the socket file
	mnt_id       INTEGER,
	peer_ns_id   INTEGER,                   -- namespace of the peer, when it is another one
	bound_path   TEXT,                      -- the path as seen in the root of the task, when it differs
	rights       INTEGER,                   -- descriptors in flight (SCM_RIGHTS)
	n_unaccepted INTEGER                    -- listener: connections waiting in the accept queue
) STRICT;

CREATE TABLE netlink_socket (
	socket       INTEGER PRIMARY KEY REFERENCES socket(id) ON DELETE CASCADE,
	portid       INTEGER NOT NULL,
	groups       TEXT NOT NULL DEFAULT '[]', -- JSON array of 32-bit words, group n is bit n-1
	dst_portid   INTEGER,
	dst_group    INTEGER
) STRICT;

CREATE TABLE packet_socket (
	socket       INTEGER PRIMARY KEY REFERENCES socket(id) ON DELETE CASCADE,
	ifindex      INTEGER NOT NULL,          -- 0: every device
	version INTEGER, reserve INTEGER, aux_data INTEGER, orig_dev INTEGER, vnet_hdr INTEGER, loss INTEGER,
	"timestamp"  INTEGER,
	copy_thresh  INTEGER,
	fanout       INTEGER,                   -- 4294967295: none
	mclist       TEXT,                      -- JSON [{"index":2,"type":1,"addr":"hex"}]
	rx_ring      TEXT,                      -- JSON
	tx_ring      TEXT
) STRICT;

CREATE TABLE tcp_stream (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	ino          INTEGER NOT NULL,          -- socket.ino
	inq_len INTEGER, inq_seq INTEGER, outq_len INTEGER, outq_seq INTEGER, opt_mask INTEGER,
	snd_wscale INTEGER, mss_clamp INTEGER, rcv_wscale INTEGER, "timestamp" INTEGER, cork INTEGER,
	nodelay INTEGER, unsq_len INTEGER, snd_wl1 INTEGER, snd_wnd INTEGER, max_window INTEGER,
	rcv_wnd INTEGER, rcv_wup INTEGER
) STRICT;

-- Bytes waiting in a socket: packets of sk-queues.img, receive and send queue of a tcp-stream image.
CREATE TABLE socket_queue (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	file_id      INTEGER,                   -- socket.file_id (packets)
	ino          INTEGER,                   -- socket.ino (streams)
	direction    TEXT NOT NULL,             -- 'packet', 'receive', 'send'
	length       INTEGER NOT NULL,
	rights       TEXT,                      -- JSON array of file ids in flight
	data         BLOB
) STRICT;

CREATE TABLE tun_file (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	file_id      INTEGER NOT NULL,
	netdev       TEXT,
	detached     INTEGER,
	ns_id        INTEGER,
	netns        INTEGER REFERENCES netns(id),
	flags        INTEGER
) STRICT;

-- Descriptors of namespaces (nsfs).
CREATE TABLE ns_file (
	id           INTEGER PRIMARY KEY,
	image        INTEGER NOT NULL REFERENCES image(id) ON DELETE CASCADE,
	file INTEGER REFERENCES image_file(id), rec INTEGER, off INTEGER,
	file_id      INTEGER NOT NULL,
	ns_id        INTEGER NOT NULL,          -- netns.ns_id when cflag is CLONE_NEWNET (0x40000000)
	cflag        INTEGER NOT NULL,
	flags        INTEGER,
	ino          INTEGER                    -- inode of the namespace
) STRICT;

-- One row an operation. Rows that another client changed belong to operation 0 until the next operation of
-- ours, which makes them one operation of kind 'external'.
CREATE TABLE edit_op (
	id           INTEGER PRIMARY KEY,
	at           TEXT NOT NULL,
	who          TEXT NOT NULL,             -- user@host; '-': another client
	command      TEXT NOT NULL,             -- the words of the command, without the database
	kind         TEXT NOT NULL DEFAULT 'edit', -- 'edit', 'external', 'undo', 'redo'
	undone       INTEGER,                   -- the operation that took this one back
	CONSTRAINT "edit_op.kind is edit, external, undo or redo" CHECK
		(kind IN ('edit', 'external', 'undo', 'redo'))
) STRICT;

-- One row a changed row.
CREATE TABLE edit_log (
	id           INTEGER PRIMARY KEY,
	op           INTEGER NOT NULL DEFAULT 0,
	at           TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
	tbl          TEXT NOT NULL,
	row          INTEGER NOT NULL,
	action       TEXT NOT NULL,             -- 'insert', 'update', 'delete', 'replace' (before an insert)
	before       TEXT,                      -- JSON object: column -> value, of a blob X'hex'
	after        TEXT
) STRICT;

-- Indexes. Import into an empty database drops them first and makes them again after the load.
CREATE INDEX image_member_file ON image_member (file);
CREATE INDEX image_fact_image ON image_fact (image);
CREATE INDEX note_image ON note (image);
CREATE INDEX engine_file_image ON engine_file (image);
CREATE INDEX userns_image ON userns (image, ns_id);
CREATE INDEX netns_image ON netns (image, ns_id);
CREATE INDEX nsid_netns ON nsid (netns);
CREATE INDEX device_netns ON device (netns, ifindex);
CREATE INDEX device_image ON device (image);
CREATE INDEX address_netns ON address (netns, ifindex);
CREATE INDEX address_image ON address (image, address);
CREATE INDEX route_netns ON route (netns, dst);
CREATE INDEX rule_netns ON rule (netns);
CREATE INDEX neighbour_netns ON neighbour (netns, ifindex);
CREATE INDEX nexthop_netns ON nexthop (netns, nh_id);
CREATE INDEX traffic_control_netns ON traffic_control (netns, ifindex);
CREATE INDEX sysctl_netns ON sysctl (netns, name);
CREATE INDEX firewall_netns ON firewall (netns);
CREATE INDEX conntrack_netns ON conntrack (netns);
CREATE INDEX task_image ON task (image, pid);
CREATE INDEX task_files ON task (image, files_id);
CREATE INDEX task_netns ON task (netns);
CREATE INDEX thread_task ON thread (task);
-- Not by image first: SQLite takes any index with the first column given for a good one.
CREATE INDEX fd_files ON fd (files_id, image, fd);
CREATE INDEX fd_file ON fd (file_id, image, files_id);
CREATE INDEX socket_file ON socket (image, file_id, netns);
CREATE INDEX socket_ino ON socket (image, ino);
CREATE INDEX socket_netns ON socket (netns, family, type);
CREATE INDEX socket_dev ON socket (image, so_bound_dev) WHERE so_bound_dev <> '';
CREATE INDEX socket_mark ON socket (image, so_mark) WHERE so_mark <> 0;
-- States and kinds that few sockets have. A query must say so too, in these words.
CREATE INDEX socket_state ON socket (image, state) WHERE state NOT IN (1, 7, 10);
CREATE INDEX socket_uid ON socket (image, uid) WHERE uid <> 0;
CREATE INDEX socket_rare ON socket (image, family, type) WHERE family NOT IN (1, 2, 10, 16, 17) OR
	type NOT IN (1, 2, 3) OR (family IN (2, 10) AND (type = 3 OR protocol NOT IN (6, 17)));
CREATE INDEX netlink_socket_portid ON netlink_socket (portid) WHERE portid <> 0;
CREATE INDEX packet_socket_ifindex ON packet_socket (ifindex) WHERE ifindex <> 0;
CREATE INDEX inet_socket_src ON inet_socket (src_port, src);
-- Without what most sockets have: no address and no peer. A query must say so too ("AND dst_port <> 0").
CREATE INDEX inet_socket_address ON inet_socket (src) WHERE src <> '0.0.0.0' AND src <> '::';
CREATE INDEX inet_socket_dst ON inet_socket (dst, dst_port) WHERE dst <> '0.0.0.0' AND dst <> '::';
CREATE INDEX inet_socket_dport ON inet_socket (dst_port) WHERE dst_port <> 0;
CREATE INDEX unix_socket_name ON unix_socket (name) WHERE name <> '';
CREATE INDEX unix_socket_peer ON unix_socket (peer) WHERE peer <> 0;
CREATE INDEX tcp_stream_ino ON tcp_stream (image, ino);
CREATE INDEX socket_queue_file ON socket_queue (image, file_id);
CREATE INDEX socket_queue_ino ON socket_queue (image, ino);
CREATE INDEX tun_file_file ON tun_file (image, file_id);
CREATE INDEX ns_file_file ON ns_file (image, file_id);
CREATE INDEX edit_log_row ON edit_log (tbl, row);
CREATE INDEX edit_log_op ON edit_log (op);

-- Set by our own operations, for the triggers: one row.
CREATE TABLE edit_state (
	id           INTEGER PRIMARY KEY CHECK (id = 1),
	importing    INTEGER NOT NULL DEFAULT 0, -- 1: triggers are quiet; 2: they only log (undo, replay); 3: a device leaves; 4: op is looked at as other clients are
	op           INTEGER NOT NULL DEFAULT 0  -- current operation; -1: none
) STRICT;
INSERT INTO edit_state (id) VALUES (1);
