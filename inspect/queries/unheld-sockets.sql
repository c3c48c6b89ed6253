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
WITH unheld (image, file_id) AS (
	SELECT image, file_id FROM socket EXCEPT SELECT image, file_id FROM fd
	-- in this order both sides come out of an index; the limit keeps SQLite from leaving out the order
	ORDER BY 1, 2 LIMIT -1
)
SELECT v.image, v.netns, v.netid, v.state, v.local, v.peer,
	EXISTS (SELECT 1 FROM socket_queue q, json_each(q.rights) r
		WHERE q.image = s.image AND q.rights <> '[]' AND r.value = s.file_id) AS in_flight
FROM unheld h
JOIN socket s ON s.image = h.image AND s.file_id = h.file_id
JOIN sockets_view v ON v.id = s.id
WHERE (:image IS NULL OR h.image = :image)
ORDER BY v.image, v.netns, s.id
