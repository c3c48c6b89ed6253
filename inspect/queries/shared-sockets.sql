-- Sockets that several tasks or several descriptors hold.
--
-- Columns:
--   image        number of the image
--   netns        namespace of the socket
--   netid        kind of socket
--   state        its state
--   local        its local address
--   peer         the other end
--   tasks        tasks that hold it
--   descriptors  descriptors that are it
--   owners       who holds it: name(pid):descriptor
WITH held (image, file_id) AS (
	SELECT image, file_id FROM fd GROUP BY image, file_id HAVING count(*) > 1
	UNION
	SELECT fd.image, fd.file_id
	FROM (SELECT image, files_id FROM task GROUP BY image, files_id HAVING count(*) > 1) t
	JOIN fd ON fd.image = t.image AND fd.files_id = t.files_id
)
SELECT v.image, v.netns, v.netid, v.state, v.local, v.peer,
	(SELECT count(DISTINCT o.pid) FROM socket_owner o WHERE o.socket = s.id) AS tasks,
	(SELECT count(*) FROM socket_owner o WHERE o.socket = s.id) AS descriptors, v.owners
FROM held h
JOIN socket s ON s.image = h.image AND s.file_id = h.file_id
JOIN sockets_view v ON v.id = s.id
WHERE (:image IS NULL OR h.image = :image)
ORDER BY v.image, v.netns, s.id
