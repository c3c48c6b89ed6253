-- What the image before in the series had and an image has not any more (several images of one container).
--
-- A series is the images of one container (by its name), of one target of nsimg dump, or else of one folder, in the
-- order of the time they were taken: the view image_series. Only what means something to people is compared: no inodes, no pids.
-- With --image, what is gone in that image.
--
-- Columns:
--   image     number of the image
--   before    number of the image it is compared with
--   series    name of the series
--   what      netns, task, listener, unix name, packet socket, peer, device, address, route or rule
--   netns     namespace
--   value     the thing that is gone
WITH pair (image, before, series) AS MATERIALIZED (
	SELECT image, previous, series FROM image_series WHERE previous IS NOT NULL AND (:image IS NULL OR image = :image)
), wanted (image) AS MATERIALIZED (
	SELECT image FROM pair UNION SELECT before FROM pair
), thing (image, what, netns, value) AS MATERIALIZED (
	SELECT n.image, 'netns', n.name, n.name FROM wanted w CROSS JOIN netns n ON n.image = w.image
	UNION
	SELECT t.image, 'task', n.name, t.comm FROM wanted w CROSS JOIN task t ON t.image = w.image
		LEFT JOIN netns n ON n.id = t.netns
	UNION
	SELECT v.image, CASE WHEN i.dst_port <> 0 THEN 'peer' ELSE 'listener' END, v.netns,
		v.netid || ' ' || CASE WHEN i.dst_port <> 0 THEN v.peer ELSE v.local END
	FROM wanted w
	CROSS JOIN socket s ON s.image = w.image
	CROSS JOIN inet_socket i ON i.socket = s.id
	CROSS JOIN sockets_view v ON v.id = s.id
	WHERE i.dst_port <> 0 OR s.state = 10 OR (s.type <> 1 AND i.src_port <> 0)
	UNION
	SELECT s.image, 'unix name', n.name, u.name
	FROM wanted w
	CROSS JOIN socket s ON s.image = w.image
	CROSS JOIN unix_socket u ON u.socket = s.id
	LEFT JOIN netns n ON n.id = s.netns
	WHERE u.name <> '' AND s.state <> 1
	UNION
	SELECT v.image, 'packet socket', v.netns, v.netid || ' ' || v.local
	FROM wanted w
	CROSS JOIN socket s ON s.image = w.image
	CROSS JOIN packet_socket p ON p.socket = s.id
	CROSS JOIN sockets_view v ON v.id = s.id
	UNION
	SELECT d.image, 'device', n.name, d.name || coalesce(' ' || d.kind, '')
	FROM wanted w CROSS JOIN device d ON d.image = w.image JOIN netns n ON n.id = d.netns
	UNION
	SELECT a.image, 'address', n.name, a.address || '/' || a.prefixlen || coalesce(' dev ' || d.name, '')
	FROM wanted w CROSS JOIN address a ON a.image = w.image JOIN netns n ON n.id = a.netns
	LEFT JOIN device d ON d.netns = a.netns AND d.ifindex = a.ifindex
	UNION
	SELECT r.image, 'route', n.name, CASE r.type WHEN 1 THEN '' WHEN 6 THEN 'blackhole ' WHEN 7 THEN 'unreachable '
		WHEN 8 THEN 'prohibit ' ELSE 'type ' || r.type || ' ' END || r.dst || coalesce(' via ' || r.gateway, '')
		|| coalesce(' dev ' || d.name, '') || CASE r."table" WHEN 254 THEN '' ELSE ' table ' || r."table" END
	FROM wanted w CROSS JOIN netns n ON n.image = w.image CROSS JOIN route r ON r.netns = n.id
	LEFT JOIN device d ON d.netns = r.netns AND d.ifindex = r.oif
	WHERE r.protocol <> 2
	UNION
	SELECT r.image, 'rule', n.name, r.priority || ': from ' || coalesce(r.src, 'all') || coalesce(' to ' || r.dst, '')
		|| coalesce(' iif ' || r.iif, '') || coalesce(' oif ' || r.oif, '')
		|| coalesce(' fwmark ' || r.fwmark, '') || coalesce(' table ' || r."table", '')
	FROM wanted w CROSS JOIN netns n ON n.image = w.image CROSS JOIN rule r ON r.netns = n.id
)
SELECT p.image, p.before, p.series, t.what, t.netns, t.value
FROM pair p
CROSS JOIN thing t ON t.image = p.before
WHERE t.value IS NOT NULL
	AND NOT EXISTS (SELECT 1 FROM thing o WHERE o.image = p.image AND o.what = t.what AND o.netns IS t.netns
		AND o.value = t.value)
ORDER BY p.series, p.image, t.what, t.netns, t.value
