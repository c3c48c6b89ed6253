-- Policy routing: the rules beyond the three that every namespace has, with the routes they lead to.
--
-- Columns:
--   image     number of the image
--   netns     namespace
--   family    inet or inet6
--   priority  order of the rule
--   if        what it asks for, as ip rule prints it
--   then      what happens: lookup TABLE, goto RULE, blackhole, ...
--   routes    routes of the family in that table
SELECT r.image, n.name AS netns, CASE r.family WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' ELSE r.family END AS family,
	r.priority,
	CASE WHEN r.flags & 2 THEN 'not ' ELSE '' END || 'from ' || coalesce(r.src, 'all') || coalesce(' to ' || r.dst, '')
		|| coalesce(' iif ' || r.iif, '') || coalesce(' oif ' || r.oif, '')
		|| CASE WHEN r.fwmark THEN printf(' fwmark 0x%x', r.fwmark) ELSE '' END || CASE WHEN r.tos THEN ' tos ' || r.tos ELSE '' END
		|| coalesce(' ipproto ' || r.ipproto, '') || coalesce(' sport ' || r.sport, '')
		|| coalesce(' dport ' || r.dport, '') || coalesce(' uidrange ' || r.uidrange, '') AS "if",
	CASE r.action WHEN 1 THEN 'lookup ' || CASE WHEN r.l3mdev THEN 'l3mdev' ELSE coalesce(r."table", 0) END
		WHEN 2 THEN 'goto ' || r.goto WHEN 3 THEN 'nop' WHEN 6 THEN 'blackhole' WHEN 7 THEN 'unreachable'
		WHEN 8 THEN 'prohibit' ELSE r.action END AS "then",
	CASE r.action WHEN 1 THEN (SELECT count(*) FROM route t WHERE t.netns = r.netns AND t.family = r.family
		AND t."table" = r."table") END AS routes
FROM rule r
JOIN netns n ON n.id = r.netns
WHERE NOT (r.action = 1 AND (r.priority, coalesce(r."table", 0)) IN (VALUES (0, 255), (32766, 254), (32767, 253))
		AND r.src IS NULL AND r.dst IS NULL AND r.iif IS NULL AND r.oif IS NULL)
	AND (:image IS NULL OR r.image = :image)
ORDER BY r.image, n.name, r.family, r.priority, r.id
