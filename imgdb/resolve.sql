-- Run after the rows of one image (:image) were loaded, statement by statement, in this order.

-- A namespace without a netns image and without any device is only referred to: CRIU's own (host) one.
UPDATE netns SET external = 1
WHERE image = :image AND file IS NULL
	AND NOT EXISTS (SELECT 1 FROM device WHERE device.netns = netns.id);
UPDATE netns SET caller = 1
WHERE image = :image AND file IS NULL AND external = 1 AND ns_id = :root;

-- A task without an entry for its network namespace lives in that of the root task; dead ones in none.
UPDATE task SET netns = (SELECT id FROM netns WHERE netns.image = :image AND netns.ns_id = :root)
WHERE image = :image AND netns IS NULL AND files_id IS NOT NULL;

-- Where a full link message has its peer: by the id that the device's namespace uses for the other one.
UPDATE device SET peer_netns =
	(SELECT target FROM nsid WHERE nsid.netns = device.netns AND nsid.value = device.link_netnsid)
WHERE image = :image AND peer_netns IS NULL AND link_netnsid IS NOT NULL;

-- The other way for CRIU's records, which name the namespace but not the id.
UPDATE device SET link_netnsid =
	(SELECT value FROM nsid WHERE nsid.netns = device.netns AND nsid.target = device.peer_netns)
WHERE image = :image AND link_netnsid IS NULL AND peer_netns <> netns;
