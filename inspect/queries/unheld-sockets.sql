-- Sockets that no task holds: they wait in a message to be received, or their holder is not in the image.
--
-- Columns:
--   image      number of the image
--   netns      namespace of the socket
--   netid      kind of socket
--   state      its state
--   local      its local address
--   peer       the other end
--   in_flight  1: a message that waits in a unix socket carries it (SCM_RIGHTS)
SELECT v.image, v.netns, v.netid, v.state, v.local, v.peer,
	EXISTS (SELECT 1 FROM socket_queue q, json_each(q.rights) r
		WHERE q.image = s.image AND q.rights <> '[]' AND r.value = s.file_id) AS in_flight
FROM socket s
JOIN sockets_view v ON v.id = s.id
WHERE NOT EXISTS (SELECT 1 FROM fd WHERE fd.image = s.image AND fd.file_id = s.file_id)
	AND (:image IS NULL OR s.image = :image)
ORDER BY v.image, v.netns, s.id
