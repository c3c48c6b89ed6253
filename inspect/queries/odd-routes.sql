-- Routes that a plain namespace does not have, and why each is odd.
--
-- A route that is odd in several ways is there several times.
--
-- Columns:
--   image    number of the image
--   netns    namespace
--   why      blackhole, unreachable, prohibit, throw: it swallows packets;
--            other table: neither main nor local nor default;
--            redirect: an ICMP redirect made it;
--            onlink: a gateway said to be reachable although no address says so;
--            half of default: 0.0.0.0/1 and its like, which beat a default route without replacing it;
--            several defaults: more than one default route of the family in the table;
--            default without gateway: and its device is no tunnel;
--            gateway outside: no network of the namespace holds the gateway;
--            public host: a single public address goes another way
--   family   inet or inet6
--   route    destination
--   via      gateway
--   device   device
--   table    number of the table
--   metric   its priority
WITH odd (id, why) AS (
	SELECT id, CASE type WHEN 6 THEN 'blackhole' WHEN 7 THEN 'unreachable' WHEN 8 THEN 'prohibit' ELSE 'throw' END
	FROM route WHERE type BETWEEN 6 AND 9
	UNION ALL
	SELECT id, 'other table' FROM route WHERE "table" NOT IN (0, 253, 254, 255)
	UNION ALL
	SELECT id, 'redirect' FROM route WHERE protocol = 1
	UNION ALL
	SELECT id, 'onlink' FROM route WHERE flags & 4
	UNION ALL
	SELECT id, 'half of default' FROM route WHERE dst IN ('0.0.0.0/1', '128.0.0.0/1', '::/1', '8000::/1')
	UNION ALL
	SELECT id, 'several defaults' FROM (
		SELECT id, count(*) OVER (PARTITION BY netns, family, "table") AS n FROM route
		WHERE dst = 'default' AND type = 1)
	WHERE n > 1
	UNION ALL
	SELECT r.id, 'default without gateway' FROM route r
	LEFT JOIN device d ON d.netns = r.netns AND d.ifindex = r.oif
	WHERE r.dst = 'default' AND r.type = 1 AND r.gateway IS NULL AND r.via IS NULL AND r.multipath IS NULL
		AND r.nh_id IS NULL AND NOT coalesce(d.flags, 0) & 0x10
		AND coalesce(d.kind, '') NOT IN ('tun', 'wireguard', 'vrf')
	UNION ALL
	SELECT r.id, 'gateway outside' FROM route r
	WHERE r.gateway IS NOT NULL AND NOT r.flags & 4 AND NOT coalesce(is_link_local(r.gateway), 0)
		AND NOT EXISTS (SELECT 1 FROM address a WHERE a.netns = r.netns AND a.family = r.family
			AND in_subnet(r.gateway, network(coalesce(a.peer, a.address), a.prefixlen)))
	UNION ALL
	SELECT id, 'public host' FROM route
	WHERE type = 1 AND dst <> 'default' AND dst NOT LIKE '%/%' AND is_public(dst) AND protocol <> 2
)
SELECT r.image, n.name AS netns, o.why, CASE r.family WHEN 2 THEN 'inet' WHEN 10 THEN 'inet6' ELSE r.family END AS family,
	r.dst AS route, coalesce(r.gateway, r.via) AS via, coalesce(d.name, 'if' || r.oif) AS device, r."table",
	r.priority AS metric
FROM odd o
JOIN route r ON r.id = o.id
JOIN netns n ON n.id = r.netns
LEFT JOIN device d ON d.netns = r.netns AND d.ifindex = r.oif
WHERE (:image IS NULL OR r.image = :image)
ORDER BY r.image, n.name, o.why, r.family, r."table", r.dst, r.id
