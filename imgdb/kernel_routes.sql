-- kernel_routes.sql: addresses that were changed alone, whose routes are still those of what they were, and what these
-- routes become (kernel_routes.c). One row an address, in the order of the edits.
--
-- A network changes its routes with the address only where the kernel would make as many of it, and no other address of
-- the device is in the old or the new one: such an address would keep routes, or become another one's secondary.
WITH changed AS (
	SELECT l.id AS op, a.id, a.netns, a.ifindex, a.family, a.flags, a.broadcast,
		json_extract(l.before, '$.address') AS was, a.address AS now,
		coalesce(json_extract(l.before, '$.peer'), json_extract(l.before, '$.address')) AS host_was,
		coalesce(a.peer, a.address) AS host,
		json_extract(l.before, '$.prefixlen') AS bits_was, a.prefixlen AS bits
	FROM edit_log l JOIN address a ON a.id = l.row
	WHERE l.tbl = 'address' AND json_extract(l.before, '$.netns') = a.netns
		AND json_extract(l.before, '$.ifindex') = a.ifindex
), moved AS (
	SELECT *, iif(bits_was = iif(family = 2, 32, 128), host_was, network(host_was, bits_was)) AS net_was,
		iif(bits = iif(family = 2, 32, 128), host, network(host, bits)) AS net,
		prefix_last(host_was || '/' || bits_was) AS last_was, prefix_last(host || '/' || bits) AS last,
		-- how many routes there are of a network (fib_add_ifaddr() in net/ipv4/fib_frontend.c)
		family = 10 OR (bits_was < 31) + (bits_was < 32) = (bits < 31) + (bits < 32) AS same_shape
	FROM changed c
	-- table local (255), type local (2), protocol kernel (2)
	WHERE EXISTS (SELECT 1 FROM route r WHERE r.netns = c.netns AND r.oif = c.ifindex AND r.protocol = 2
			AND r."table" = 255 AND r.type = 2 AND r.dst = c.was)
		AND NOT EXISTS (SELECT 1 FROM route r WHERE r.netns = c.netns AND r."table" = 255 AND r.type = 2
			AND r.dst = c.now)
		AND NOT EXISTS (SELECT 1 FROM address o WHERE o.netns = c.netns AND o.ifindex = c.ifindex
			AND o.address = c.was)
)
SELECT netns, ifindex, was, now, net_was, net, last_was, last FROM moved m
WHERE net_was = net
	OR (same_shape AND (family = 10 OR (NOT flags & 1 AND coalesce(broadcast, last) = last))
		AND NOT EXISTS (SELECT 1 FROM address o WHERE o.netns = m.netns AND o.ifindex = m.ifindex
			AND o.family = m.family AND o.id <> m.id
			AND network(coalesce(o.peer, o.address), o.prefixlen)
				IN (network(m.host, m.bits), network(m.host_was, m.bits_was))))
ORDER BY op
