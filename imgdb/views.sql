-- Views: what people and saved queries read. Nothing here is needed by import, export or restore.
--
-- First those for people, then those named and shaped like osquery's tables (osquery.io/schema), so that
-- saved queries carry over: osquery's columns of Linux with osquery's types, in its order, and behind them "image"
-- (net_namespace is the inode where the dump recorded it, else the number that the image has for the namespace),
-- others of ours, and last those that osquery has for another system: it hides them here, but a query may name them.
-- Where osquery has figures that an image does not hold (packet counters), the column is NULL. A column that is an
-- expression has a type only by CAST, and without one SQLite finds no number equal to a text: saved queries say both
-- port = 80 and port = '80'.

-- Images of one thing in the order they were taken: of one container (by its name),
-- of one target of a dump, or of one folder.
CREATE VIEW image_series AS
SELECT image, series, taken_at,
	row_number() OVER (PARTITION BY series ORDER BY taken_at, image) AS number,
	lag(image) OVER (PARTITION BY series ORDER BY taken_at, image) AS previous,
	count(*) OVER (PARTITION BY series) AS images
FROM (SELECT i.id AS image, coalesce(
		(SELECT f.value FROM image_fact f WHERE f.image = i.id AND f.key = 'container.name' LIMIT 1),
		i.dump_target, rtrim(i.source, replace(i.source, '/', ''))) AS series,
	coalesce(strftime('%Y-%m-%dT%H:%M:%fZ', i.dumped_at),
		(SELECT strftime('%Y-%m-%dT%H:%M:%fZ', f.value) FROM image_fact f
			WHERE f.image = i.id AND f.key = 'container.checkpointed' LIMIT 1),
		strftime('%Y-%m-%dT%H:%M:%fZ', i.imported_at)) AS taken_at
	FROM image i);

-- Who holds a socket: a row for each descriptor in each task (tasks may share one descriptor table).
CREATE VIEW socket_owner AS
SELECT s.image, s.id AS socket, t.id AS task, t.pid, t.comm, fd.fd, t.netns AS task_netns,
	s.netns AS socket_netns
FROM socket s
JOIN fd ON fd.image = s.image AND fd.file_id = s.file_id
JOIN task t ON t.image = fd.image AND t.files_id = fd.files_id;

-- Bytes that wait in a socket: as the dump counted them, as the record of the connection has them, or those of the
-- packets in the image. recv_q and send_q are these, and for a listener the connections that wait in its accept queue
-- and the size of that queue, as in ss(8). NULL: the image does not tell. A cookie comes from a dump by nsimg, which
-- leaves out what is 0; CRIU writes the packets of every unix socket that has some.
CREATE VIEW socket_waiting AS
SELECT image, socket, unread, unsent,
	CASE WHEN state IS NOT 10 THEN unread ELSE coalesce(n_unaccepted, CASE WHEN cookie IS NOT NULL THEN 0 END) END
		AS recv_q,
	CASE WHEN state IS NOT 10 THEN unsent ELSE backlog END AS send_q
FROM (SELECT s.image, s.id AS socket, s.state, s.cookie,
	coalesce(s.inq_len,
		(SELECT t.inq_len FROM tcp_stream t WHERE t.image = s.image AND t.ino = s.ino AND s.family <> 1),
		(SELECT sum(q.length) FROM socket_queue q WHERE q.image = s.image AND q.file_id = s.file_id),
		CASE WHEN s.cookie IS NOT NULL OR s.family = 1 THEN 0 END) AS unread,
	coalesce(s.outq_len,
		(SELECT t.outq_len FROM tcp_stream t WHERE t.image = s.image AND t.ino = s.ino AND s.family <> 1),
		CASE WHEN s.cookie IS NOT NULL THEN 0 END) AS unsent,
	coalesce(i.n_unaccepted, u.n_unaccepted) AS n_unaccepted,
	coalesce(i.backlog, u.backlog, s.other_backlog) AS backlog
	FROM socket s
	LEFT JOIN inet_socket i ON i.socket = s.id
	LEFT JOIN unix_socket u ON u.socket = s.id);

-- One line a socket, as ss(8) shows it, with the namespace and the tasks that hold it ("comm(pid):fd").
CREATE VIEW sockets_view AS
SELECT s.image, s.id, n.name AS netns,
	CASE s.family
	WHEN 1 THEN CASE s.type WHEN 1 THEN 'u_str' WHEN 2 THEN 'u_dgr' WHEN 5 THEN 'u_seq' ELSE 'unix' END
	WHEN 16 THEN 'nl'
	WHEN 17 THEN CASE s.type WHEN 2 THEN 'p_dgr' ELSE 'p_raw' END
	WHEN 2 THEN CASE
		WHEN s.type = 3 THEN 'raw' WHEN s.protocol = 6 THEN 'tcp' WHEN s.protocol = 17 THEN 'udp'
		WHEN s.protocol = 136 THEN 'udplite' WHEN s.protocol IN (1, 58) THEN 'icmp'
		WHEN s.protocol = 262 THEN 'mptcp' WHEN s.protocol = 132 THEN 'sctp' ELSE 'inet' END
	WHEN 10 THEN CASE
		WHEN s.type = 3 THEN 'raw' WHEN s.protocol = 6 THEN 'tcp' WHEN s.protocol = 17 THEN 'udp'
		WHEN s.protocol = 136 THEN 'udplite' WHEN s.protocol IN (1, 58) THEN 'icmp'
		WHEN s.protocol = 262 THEN 'mptcp' WHEN s.protocol = 132 THEN 'sctp' ELSE 'inet' END
	WHEN 40 THEN CASE s.type WHEN 1 THEN 'v_str' ELSE 'v_dgr' END
	WHEN 44 THEN 'xdp'
	ELSE 'af_' || s.family END AS netid,
	CASE s.state
	WHEN 1 THEN 'ESTAB' WHEN 2 THEN 'SYN-SENT' WHEN 3 THEN 'SYN-RECV' WHEN 4 THEN 'FIN-WAIT-1'
	WHEN 5 THEN 'FIN-WAIT-2' WHEN 6 THEN 'TIME-WAIT' WHEN 8 THEN 'CLOSE-WAIT' WHEN 9 THEN 'LAST-ACK'
	WHEN 10 THEN 'LISTEN' WHEN 11 THEN 'CLOSING' ELSE 'UNCONN' END AS state,
	(SELECT w.recv_q FROM socket_waiting w WHERE w.socket = s.id) AS recv_q,
	(SELECT w.send_q FROM socket_waiting w WHERE w.socket = s.id) AS send_q,
	CASE
	WHEN i.socket IS NOT NULL THEN
		CASE WHEN i.src IS NULL THEN '*' WHEN i.src LIKE '%:%' THEN '[' || i.src || ']' ELSE i.src END
		|| coalesce('%' || s.so_bound_dev, '') || ':' || i.src_port
	WHEN u.socket IS NOT NULL THEN
		CASE WHEN u.name = '' OR u.name IS NULL THEN '*'
		WHEN substr(u.name, 1, 4) = '\x00' THEN '@' || substr(u.name, 5) ELSE u.name END
		|| ' ' || coalesce(s.ino, '')
	WHEN k.socket IS NOT NULL THEN
		CASE s.protocol WHEN 0 THEN 'rtnl' WHEN 4 THEN 'sock_diag' WHEN 6 THEN 'xfrm' WHEN 9 THEN 'audit'
		WHEN 11 THEN 'connector' WHEN 12 THEN 'netfilter' WHEN 15 THEN 'uevent' WHEN 16 THEN 'genl'
		WHEN 2 THEN 'usersock' ELSE s.protocol END || ':' || k.portid
	WHEN p.socket IS NOT NULL THEN
		printf('0x%04x', ((s.protocol & 255) << 8) | ((s.protocol >> 8) & 255)) || ':' || coalesce(
			(SELECT d.name FROM device d WHERE d.netns = s.netns AND d.ifindex = p.ifindex),
			CASE p.ifindex WHEN 0 THEN '*' ELSE 'if' || p.ifindex END)
	ELSE '*' END AS local,
	CASE
	WHEN i.socket IS NOT NULL THEN
		CASE WHEN i.dst_port = 0 AND s.state <> 1 THEN '*:*' WHEN i.dst IS NULL THEN '*:' || i.dst_port
		WHEN i.dst LIKE '%:%' THEN '[' || i.dst || ']:' || i.dst_port ELSE i.dst || ':' || i.dst_port END
	WHEN u.peer <> 0 THEN coalesce((SELECT CASE WHEN up.name = '' OR up.name IS NULL THEN '*'
			WHEN substr(up.name, 1, 4) = '\x00' THEN '@' || substr(up.name, 5) ELSE up.name END
		FROM socket sp JOIN unix_socket up ON up.socket = sp.id
		WHERE sp.image = s.image AND sp.ino = u.peer AND sp.family = 1), '*') || ' ' || u.peer
	WHEN k.dst_portid <> 0 THEN CAST(k.dst_portid AS TEXT)
	ELSE '*' END AS peer,
	(SELECT group_concat(coalesce(o.comm, '?') || '(' || o.pid || '):' || o.fd, ', ')
		FROM socket_owner o WHERE o.socket = s.id) AS owners,
	s.family, s.type, s.protocol, s.ino, s.file_id, coalesce(i.backlog, u.backlog, s.other_backlog) AS backlog
FROM socket s
LEFT JOIN netns n ON n.id = s.netns
LEFT JOIN inet_socket i ON i.socket = s.id
LEFT JOIN unix_socket u ON u.socket = s.id
LEFT JOIN netlink_socket k ON k.socket = s.id
LEFT JOIN packet_socket p ON p.socket = s.id;

-- Sockets that a task holds although they live in another namespace than the task: what nesting is about.
CREATE VIEW foreign_socket AS
SELECT o.image, o.socket, o.pid, o.comm, o.fd, st.name AS socket_netns, tt.name AS task_netns
FROM socket_owner o
JOIN netns st ON st.id = o.socket_netns
LEFT JOIN netns tt ON tt.id = o.task_netns
WHERE o.socket_netns IS NOT o.task_netns;

-- osquery: ports that somebody listens on (for datagrams: that are bound), and unix sockets with a name.
CREATE VIEW listening_ports AS
SELECT o.pid, CAST(coalesce(i.src_port, 0) AS INTEGER) AS port, s.protocol, s.family, CAST(coalesce(i.src, '') AS TEXT) AS address, o.fd,
	s.ino AS socket,
	CAST(CASE WHEN substr(u.name, 1, 4) = '\x00' THEN '@' || substr(u.name, 5) ELSE coalesce(u.name, '') END AS TEXT)
		AS path,
	CAST(coalesce(n.ino, n.ns_id) AS TEXT) AS net_namespace, s.image, n.name AS netns
FROM socket s
LEFT JOIN socket_owner o ON o.socket = s.id
LEFT JOIN inet_socket i ON i.socket = s.id
LEFT JOIN unix_socket u ON u.socket = s.id
LEFT JOIN netns n ON n.id = s.netns
WHERE (s.family IN (2, 10) AND i.dst_port = 0 AND (s.state = 10 OR (s.type <> 1 AND i.src_port <> 0)))
	OR (s.family = 1 AND u.name <> '');

-- osquery: every socket a task has open.
CREATE VIEW process_open_sockets AS
SELECT o.pid, o.fd, s.ino AS socket, s.family, s.protocol, CAST(coalesce(i.src, '') AS TEXT) AS local_address,
	CAST(coalesce(i.dst, '') AS TEXT) AS remote_address, CAST(coalesce(i.src_port, 0) AS INTEGER) AS local_port,
	CAST(coalesce(i.dst_port, 0) AS INTEGER) AS remote_port,
	CAST(CASE WHEN substr(u.name, 1, 4) = '\x00' THEN '@' || substr(u.name, 5) ELSE coalesce(u.name, '') END AS TEXT)
		AS path,
	CAST(CASE WHEN s.family NOT IN (2, 10) OR s.type <> 1 THEN '' ELSE
	CASE s.state
	WHEN 1 THEN 'ESTABLISHED' WHEN 2 THEN 'SYN_SENT' WHEN 3 THEN 'SYN_RECV' WHEN 4 THEN 'FIN_WAIT1'
	WHEN 5 THEN 'FIN_WAIT2' WHEN 6 THEN 'TIME_WAIT' WHEN 7 THEN 'CLOSED' WHEN 8 THEN 'CLOSE_WAIT'
	WHEN 9 THEN 'LAST_ACK' WHEN 10 THEN 'LISTEN' WHEN 11 THEN 'CLOSING' ELSE 'UNKNOWN' END END AS TEXT) AS state,
	CAST(coalesce(n.ino, n.ns_id) AS TEXT) AS net_namespace, s.image, n.name AS netns
FROM socket s
JOIN socket_owner o ON o.socket = s.id
LEFT JOIN inet_socket i ON i.socket = s.id
LEFT JOIN unix_socket u ON u.socket = s.id
LEFT JOIN netns n ON n.id = s.netns;

-- osquery: addresses of interfaces, with the mask as text.
CREATE VIEW interface_addresses AS
SELECT d.name AS interface, a.address,
	CAST(CASE a.family WHEN 2 THEN
		(256 - (1 << (8 - min(max(a.prefixlen, 0), 8)))) || '.' ||
		(256 - (1 << (8 - min(max(a.prefixlen - 8, 0), 8)))) || '.' ||
		(256 - (1 << (8 - min(max(a.prefixlen - 16, 0), 8)))) || '.' ||
		(256 - (1 << (8 - min(max(a.prefixlen - 24, 0), 8))))
	ELSE substr('ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:', 1, a.prefixlen / 16 * 5 - (a.prefixlen = 128)) ||
		CASE WHEN a.prefixlen % 16 THEN printf('%x', (65535 << (16 - a.prefixlen % 16)) & 65535) ||
			CASE WHEN a.prefixlen < 112 THEN ':' ELSE '' END ELSE '' END ||
		CASE WHEN a.prefixlen = 0 THEN '::' WHEN a.prefixlen <= 112 THEN ':' ELSE '' END
	END AS TEXT) AS mask,
	CAST(coalesce(a.broadcast, '') AS TEXT) AS broadcast, CAST(coalesce(a.peer, '') AS TEXT) AS point_to_point,
	CAST(CASE WHEN a.flags & 128 THEN 'manual' ELSE 'auto' END AS TEXT) AS type, a.image, n.name AS netns,
	NULL AS friendly_name
FROM address a
JOIN netns n ON n.id = a.netns
LEFT JOIN device d ON d.netns = a.netns AND d.ifindex = a.ifindex;

-- osquery: interfaces. type is ARPHRD_*, as far as the kind tells it.
CREATE VIEW interface_details AS
SELECT d.name AS interface, d.address AS mac,
	CAST(CASE d.kind WHEN 'loopback' THEN 772 WHEN 'sit' THEN 776 WHEN 'ipip' THEN 768 WHEN 'gre' THEN 778
		ELSE 1 END AS INTEGER) AS type,
	d.mtu, NULL AS metric, d.flags, NULL AS ipackets, NULL AS opackets, NULL AS ibytes, NULL AS obytes,
	NULL AS ierrors, NULL AS oerrors, NULL AS idrops, NULL AS odrops, NULL AS collisions,
	NULL AS last_change, NULL AS link_speed, NULL AS pci_slot, d.image, n.name AS netns, d.kind,
	d.ifindex, NULL AS friendly_name, NULL AS description, NULL AS manufacturer, NULL AS connection_id,
	NULL AS connection_status, NULL AS enabled, NULL AS physical_adapter, NULL AS speed, NULL AS service,
	NULL AS dhcp_enabled, NULL AS dhcp_lease_expires, NULL AS dhcp_lease_obtained, NULL AS dhcp_server,
	NULL AS dns_domain, NULL AS dns_domain_suffix_search_order, NULL AS dns_host_name,
	NULL AS dns_server_search_order
FROM device d
JOIN netns n ON n.id = d.netns;

-- osquery: routes. netmask is the length of the prefix there, type 'gateway' any unicast route.
CREATE VIEW routes AS
SELECT CAST(CASE r.dst WHEN 'default' THEN CASE r.family WHEN 2 THEN '0.0.0.0' ELSE '::' END
	ELSE substr(r.dst, 1, instr(r.dst || '/', '/') - 1) END AS TEXT) AS destination,
	CAST(CASE WHEN r.dst = 'default' THEN 0 WHEN r.dst LIKE '%/%'
		THEN CAST(substr(r.dst, instr(r.dst, '/') + 1) AS INTEGER)
		WHEN r.family = 2 THEN 32 ELSE 128 END AS INTEGER) AS netmask,
	CAST(coalesce(r.gateway, r.via, '') AS TEXT) AS gateway, CAST(coalesce(r.prefsrc, '') AS TEXT) AS source, r.flags,
	CAST(coalesce(d.name, '') AS TEXT) AS interface,
	CAST(coalesce(json_extract(r.metrics, '$.mtu'), 0) AS INTEGER) AS mtu,
	CAST(coalesce(r.priority, 0) AS INTEGER) AS metric,
	CAST(CASE r.type WHEN 1 THEN 'gateway' WHEN 2 THEN 'local' WHEN 3 THEN 'broadcast' WHEN 4 THEN 'anycast'
		ELSE 'other' END AS TEXT) AS type,
	NULL AS hopcount, r.image, n.name AS netns, r."table"
FROM route r
JOIN netns n ON n.id = r.netns
LEFT JOIN device d ON d.netns = r.netns AND d.ifindex = r.oif;

-- osquery: namespaces of tasks. An image has its own numbers; the inode is there when the dump recorded it.
CREATE VIEW process_namespaces AS
SELECT t.pid, NULL AS cgroup_namespace, NULL AS ipc_namespace, CAST(t.mntns AS TEXT) AS mnt_namespace,
	CAST(coalesce(n.ino, n.ns_id) AS TEXT) AS net_namespace, CAST(t.pidns AS TEXT) AS pid_namespace,
	CAST(t.userns AS TEXT) AS user_namespace, NULL AS uts_namespace, t.image, n.name AS netns
FROM task t
LEFT JOIN netns n ON n.id = t.netns;

-- osquery: tasks. What is in memory and on disk (path, arguments, sizes, times) is not in the network image: '' and
-- NULL.
CREATE VIEW processes AS
SELECT t.pid, CAST(coalesce(t.comm, '') AS TEXT) AS name, '' AS path, '' AS cmdline,
	CAST(CASE t.state WHEN 1 THEN 'S' WHEN 2 THEN 'X' WHEN 3 THEN 'T' WHEN 6 THEN 'Z' ELSE '' END AS TEXT) AS state,
	'' AS cwd, '' AS root, NULL AS uid, NULL AS gid, NULL AS euid, NULL AS egid, NULL AS suid, NULL AS sgid,
	CAST(-1 AS INTEGER) AS on_disk, NULL AS wired_size, NULL AS resident_size, NULL AS total_size, NULL AS user_time,
	NULL AS system_time, NULL AS disk_bytes_read, NULL AS disk_bytes_written, NULL AS start_time,
	t.ppid AS parent, t.pgid AS pgroup, CAST((SELECT 1 + count(*) FROM thread h WHERE h.task = t.id) AS INTEGER) AS threads,
	NULL AS nice, '' AS cgroup_path, t.image, n.name AS netns, NULL AS elapsed_time, NULL AS handle_count,
	NULL AS percent_processor_time, NULL AS elevated_token, NULL AS secure_process, NULL AS protection_type,
	NULL AS virtual_process, NULL AS upid, NULL AS uppid, NULL AS cpu_type, NULL AS cpu_subtype, NULL AS translated,
	NULL AS phys_footprint
FROM task t
LEFT JOIN netns n ON n.id = t.netns;

-- osquery: neighbours with a MAC address. permanent is the text '1' or '0' there.
CREATE VIEW arp_cache AS
SELECT b.dst AS address, b.lladdr COLLATE NOCASE AS mac, CAST(coalesce(d.name, '') AS TEXT) AS interface,
	CAST(CASE WHEN b.state & 128 THEN '1' ELSE '0' END AS TEXT) AS permanent, b.image, n.name AS netns
FROM neighbour b
JOIN netns n ON n.id = b.netns
LEFT JOIN device d ON d.netns = b.netns AND d.ifindex = b.ifindex
WHERE b.family IN (2, 10) AND b.dst IS NOT NULL AND b.lladdr IS NOT NULL;
