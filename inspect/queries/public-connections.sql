-- Connections to public addresses, of sockets and of the connection tracking.
--
-- Public is what is_public() says: no private, shared, documentation, local, multicast or reserved block. A tracked
-- connection without a socket was forwarded for somebody else, or its socket is closed already.
--
-- Columns:
--   image   number of the image
--   netns   namespace
--   from    'socket' or 'conntrack'
--   netid   protocol
--   state   state of the socket
--   local   source address and port
--   remote  destination address
--   port    destination port
--   owners  who holds the socket: name(pid):descriptor
SELECT v.image, v.netns, 'socket' AS "from", v.netid, v.state, v.local, i.dst AS remote, i.dst_port AS port, v.owners
FROM inet_socket i
JOIN sockets_view v ON v.id = i.socket
WHERE i.dst <> '0.0.0.0' AND i.dst <> '::' AND i.dst_port <> 0 AND is_public(i.dst)
	AND (:image IS NULL OR v.image = :image)
UNION ALL
SELECT c.image, n.name, 'conntrack', CASE c.proto WHEN 6 THEN 'tcp' WHEN 17 THEN 'udp' WHEN 1 THEN 'icmp'
	WHEN 58 THEN 'icmp6' WHEN 132 THEN 'sctp' ELSE CAST(c.proto AS TEXT) END,
	CASE WHEN c.proto = 6 THEN CASE c.tcp_state WHEN 1 THEN 'SYN-SENT' WHEN 2 THEN 'SYN-RECV' WHEN 3 THEN 'ESTAB'
	WHEN 4 THEN 'FIN-WAIT' WHEN 5 THEN 'CLOSE-WAIT' WHEN 6 THEN 'LAST-ACK' WHEN 7 THEN 'TIME-WAIT'
	WHEN 8 THEN 'CLOSE' END END,
	CASE WHEN c.src LIKE '%:%' THEN '[' || c.src || ']' ELSE c.src END || coalesce(':' || c.sport, ''),
	c.dst, c.dport, NULL
FROM conntrack c
JOIN netns n ON n.id = c.netns
WHERE c.expect = 0 AND is_public(c.dst) AND (:image IS NULL OR c.image = :image)
ORDER BY 1, 2, 3 DESC, 7, 8
