-- Sockets with bytes that were not read or not sent yet, and how these begin.
--
-- Columns:
--   image      number of the image
--   netns      namespace of the socket
--   netid      kind of socket
--   local      its local address
--   peer       the other end
--   unread     bytes waiting to be read
--   unsent     bytes not sent or not acknowledged
--   kept_unread  bytes of the unread in the image
--   kept_unsent  bytes of the unsent in the image
--   text       how they begin, up to the first zero byte
--   bytes      the first 32 of them
--   owners     who holds it: name(pid):descriptor
WITH waiting (socket, first, unread, unsent, data) AS (
	SELECT s.id, min(q.id), sum(q.length), 0, q.data FROM socket_queue q
	JOIN socket s ON s.image = q.image AND s.file_id = q.file_id
	WHERE q.file_id IS NOT NULL GROUP BY s.id
	UNION ALL
	SELECT s.id, min(q.id), sum(iif(q.direction = 'receive', q.length, 0)), sum(iif(q.direction = 'send', q.length, 0)),
		q.data FROM socket_queue q
	JOIN socket s ON s.image = q.image AND s.ino = q.ino
	WHERE q.file_id IS NULL AND q.length > 0 GROUP BY s.id
	UNION ALL
	SELECT id, NULL, 0, 0, NULL FROM socket WHERE inq_len > 0 OR outq_len > 0
)
SELECT v.image, v.netns, v.netid, v.local, v.peer, b.unread, b.unsent, sum(w.unread) AS kept_unread,
	sum(w.unsent) AS kept_unsent, CAST(max(substr(w.data, 1, 64)) AS TEXT) AS text,
	max(substr(w.data, 1, 32)) AS bytes, v.owners
FROM waiting w
JOIN socket s ON s.id = w.socket
JOIN socket_waiting b ON b.socket = w.socket
JOIN sockets_view v ON v.id = w.socket
WHERE (:image IS NULL OR s.image = :image) AND s.state IS NOT 10
GROUP BY w.socket
ORDER BY v.image, v.netns, w.socket
