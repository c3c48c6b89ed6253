-- Raw and packet sockets: who can see or forge packets.
--
-- Columns:
--   image    number of the image
--   netns    namespace of the socket
--   netid    raw, p_raw, p_dgr
--   local    of a packet socket ethertype (0x0003: all) and device; of a raw one address and protocol number
--   filter   instructions of its packet filter (classic BPF)
--   hdrincl  1: it writes IP headers itself
--   owners   who holds it: name(pid):descriptor
SELECT v.image, v.netns, v.netid,
	v.local, length(s.so_filter) / 8 AS filter, i.hdrincl, v.owners
FROM (SELECT id FROM netns WHERE :image IS NULL OR image = :image UNION ALL SELECT NULL) n
JOIN socket s ON s.netns IS n.id AND (s.family = 17 OR (s.family IN (2, 10) AND s.type = 3))
JOIN sockets_view v ON v.id = s.id
LEFT JOIN inet_socket i ON i.socket = s.id
WHERE (:image IS NULL OR s.image = :image)
ORDER BY v.image, v.netns, s.id
