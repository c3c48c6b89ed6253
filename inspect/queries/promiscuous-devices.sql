-- Devices that take every frame, and who made them do so.
--
-- Either somebody set the flag (ip link set dev DEV promisc on), or a packet socket asks for it
-- (PACKET_ADD_MEMBERSHIP with PACKET_MR_PROMISC), which the flags of the device do not show.
--
-- Columns:
--   image   number of the image
--   netns   namespace of the device
--   device  its name
--   kind    its kind
--   by      'flag' or 'socket'
--   owners  who holds the socket: name(pid):descriptor
SELECT d.image, n.name AS netns, d.name AS device, d.kind, 'flag' AS by, NULL AS owners
FROM device d
JOIN netns n ON n.id = d.netns
WHERE d.flags & 256 AND (:image IS NULL OR d.image = :image)
UNION ALL
SELECT s.image, n.name, coalesce(d.name, 'if' || (m.value ->> 'index')), d.kind, 'socket', v.owners
FROM packet_socket p, json_each(p.mclist) m
JOIN socket s ON s.id = p.socket
JOIN sockets_view v ON v.id = s.id
LEFT JOIN netns n ON n.id = s.netns
LEFT JOIN device d ON d.netns = s.netns AND d.ifindex = m.value ->> 'index'
WHERE p.mclist <> '[]' AND json_valid(p.mclist) AND m.value ->> 'type' = 1 AND (:image IS NULL OR s.image = :image)
ORDER BY 1, 2, 3, 5
