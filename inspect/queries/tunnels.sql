-- Devices that carry the traffic of a namespace elsewhere: tunnels, overlays, tun and tap devices.
--
-- Columns:
--   image    number of the image
--   netns    namespace
--   device   its name
--   kind     its kind
--   id       number of the network or key
--   local    address packets are sent from
--   remote   address packets are sent to
--   via      device below
--   owners   who holds a tun or tap device: name(pid):descriptor
SELECT d.image, n.name AS netns, d.name AS device, d.kind,
	coalesce(d.attrs ->> 'id', d.attrs ->> 'vni', d.attrs ->> 'okey') AS id,
	coalesce(d.attrs ->> 'local', d.attrs ->> 'local6') AS local,
	coalesce(d.attrs ->> 'remote', d.attrs ->> 'remote6',
		CASE d.kind WHEN 'vxlan' THEN coalesce(d.attrs ->> 'group', d.attrs ->> 'group6') END) AS remote,
	(SELECT l.name FROM device l WHERE l.netns = coalesce(d.peer_netns, d.netns)
		AND l.ifindex = coalesce(d.attrs ->> 'link', nullif(d.link, d.ifindex))) AS via,
	(SELECT group_concat(t.comm || '(' || t.pid || '):' || fd.fd, ', ')
		FROM tun_file f JOIN fd ON fd.image = f.image AND fd.file_id = f.file_id
		JOIN task t ON t.image = fd.image AND t.files_id = fd.files_id
		WHERE f.image = d.image AND f.netns IS d.netns AND f.netdev = d.name) AS owners
FROM device d
JOIN netns n ON n.id = d.netns
WHERE d.kind IN ('vxlan', 'geneve', 'gre', 'gretap', 'ip6gre', 'ip6gretap', 'erspan', 'ip6erspan', 'ipip', 'sit',
		'ip6tnl', 'vti', 'vti6', 'xfrm', 'fou', 'gtp', 'bareudp', 'wireguard', 'tun', 'ppp', 'l2tp', 'amt', 'batadv')
	AND (:image IS NULL OR d.image = :image)
ORDER BY d.image, n.name, d.ifindex
