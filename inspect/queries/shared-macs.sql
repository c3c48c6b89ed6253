-- One MAC address for several IP addresses among the neighbours: a router, a proxy, or a forger (ARP spoofing).
--
-- Columns:
--   image      number of the image
--   netns      namespace
--   device     device the neighbours are on
--   mac        their MAC address
--   addresses  how many IP addresses it answers for
--   list       these, separated by commas
--   gateway    1: one of them is the gateway of a route
SELECT n.image, n.name AS netns, coalesce(d.name, 'if' || b.ifindex) AS device, b.lladdr AS mac,
	count(DISTINCT b.dst) AS addresses, group_concat(DISTINCT b.dst) AS list,
	max(EXISTS (SELECT 1 FROM route r WHERE r.netns = b.netns AND r.gateway = b.dst)) AS gateway
FROM neighbour b
JOIN netns n ON n.id = b.netns
LEFT JOIN device d ON d.netns = b.netns AND d.ifindex = b.ifindex
WHERE b.family IN (2, 10) AND b.dst IS NOT NULL AND b.lladdr IS NOT NULL AND b.lladdr <> '00:00:00:00:00:00'
	AND NOT b.state & 0x60 AND NOT is_multicast(b.dst) AND (:image IS NULL OR b.image = :image)
GROUP BY b.netns, b.ifindex, b.lladdr, b.family
HAVING count(DISTINCT b.dst) > 1
ORDER BY n.image, n.name, device, b.lladdr
