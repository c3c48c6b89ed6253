-- Namespaces that no task or thread is in, and what keeps them.
--
-- A name under /run/netns, a socket, or a descriptor of it (ip netns, network managers, proxies). Traffic through
-- them belongs to no process that ps shows.
--
-- Columns:
--   image        number of the image
--   netns        namespace
--   sockets      sockets in it
--   listeners    of these, those that listen
--   descriptors  descriptors of the namespace itself
--   pins         paths it is mounted at, as JSON
--   devices      devices other than lo
--   addresses    addresses other than those of lo
SELECT n.image, n.name AS netns,
	(SELECT count(*) FROM socket s WHERE s.netns = n.id) AS sockets,
	(SELECT count(*) FROM socket s WHERE s.netns = n.id AND s.state = 10) AS listeners,
	(SELECT count(*) FROM ns_file f JOIN fd ON fd.image = f.image AND fd.file_id = f.file_id
		WHERE f.image = n.image AND f.ns_id = n.ns_id AND f.cflag = 0x40000000) AS descriptors,
	n.pins,
	(SELECT count(*) FROM device d WHERE d.netns = n.id AND d.name <> 'lo') AS devices,
	(SELECT count(*) FROM address a WHERE a.netns = n.id AND a.address NOT LIKE '127.%' AND a.address <> '::1')
		AS addresses
FROM netns n
WHERE n.external = 0 AND NOT EXISTS (SELECT 1 FROM task t WHERE t.netns = n.id)
	AND NOT EXISTS (SELECT 1 FROM thread h JOIN task t ON t.id = h.task
		WHERE t.image = n.image AND h.netns = n.id)
	AND (:image IS NULL OR n.image = :image)
ORDER BY n.image, n.ns_id
