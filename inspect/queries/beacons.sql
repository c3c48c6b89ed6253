-- Remote ends that keep coming back over the images of one container: candidates for beaconing.
--
-- An address and port that sockets are connected to, or connect to, in at least two images of a series (the view
-- image_series); not who connected to a listener of the namespace. Several local ports mean that the connection was opened anew each time; a single one, that it
-- was simply kept. With --image, of the series of that image.
--
-- Columns:
--   series       name of the series
--   netid        tcp, udp, ...
--   remote       address of the other end
--   port         its port
--   public       1: a public address
--   images       images in which it is there
--   of           images of the series
--   local_ports  different local ports of these connections
--   first        when the first of these images was taken
--   last         and the last
--   comms        names of the tasks that hold the sockets
WITH series (image, series, taken_at, of) AS MATERIALIZED (
	SELECT image, series, taken_at, images FROM image_series
	WHERE images > 1 AND (:image IS NULL
		OR series = (SELECT m.series FROM image_series m WHERE m.image = :image))
), listener (netns, port) AS MATERIALIZED (
	SELECT s.netns, i.src_port FROM series m
	CROSS JOIN socket s ON s.image = m.image AND s.state = 10
	CROSS JOIN inet_socket i ON i.socket = s.id
), holder (image, files_id, comm) AS MATERIALIZED (
	SELECT image, files_id, min(comm) FROM task GROUP BY image, files_id
)
SELECT m.series, (SELECT v.netid FROM sockets_view v WHERE v.id = s.id) AS netid, i.dst AS remote, i.dst_port AS port,
	is_public(i.dst) AS public,
	count(DISTINCT m.image) AS images, m.of, count(DISTINCT i.src_port) AS local_ports,
	min(m.taken_at) AS first, max(m.taken_at) AS last,
	group_concat(DISTINCT (SELECT min(h.comm) FROM fd CROSS JOIN holder h ON h.image = fd.image AND h.files_id = fd.files_id
		WHERE fd.file_id = s.file_id AND fd.image = s.image)) AS comms
FROM inet_socket i
CROSS JOIN socket s ON s.id = i.socket
CROSS JOIN series m ON m.image = s.image
WHERE i.dst_port <> 0 AND i.dst IS NOT NULL AND NOT is_loopback(i.dst)
	AND NOT EXISTS (SELECT 1 FROM listener l WHERE l.netns IS s.netns AND l.port = i.src_port)
GROUP BY m.series, netid, i.dst, i.dst_port
HAVING count(DISTINCT m.image) > 1
ORDER BY public DESC, images DESC, m.series, i.dst, i.dst_port
