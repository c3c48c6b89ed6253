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
)
SELECT m.series, v.netid, i.dst AS remote, i.dst_port AS port, is_public(i.dst) AS public,
	count(DISTINCT m.image) AS images, m.of, count(DISTINCT i.src_port) AS local_ports,
	min(m.taken_at) AS first, max(m.taken_at) AS last,
	group_concat(DISTINCT (SELECT min(o.comm) FROM socket_owner o WHERE o.socket = s.id)) AS comms
FROM series m
CROSS JOIN socket s ON s.image = m.image
CROSS JOIN inet_socket i ON i.socket = s.id
CROSS JOIN sockets_view v ON v.id = s.id
WHERE i.dst_port <> 0 AND i.dst IS NOT NULL AND NOT is_loopback(i.dst)
	AND NOT EXISTS (SELECT 1 FROM inet_socket l JOIN socket ls ON ls.id = l.socket
		WHERE l.src_port = i.src_port AND ls.netns IS s.netns AND ls.state = 10)
GROUP BY m.series, v.netid, i.dst, i.dst_port
HAVING count(DISTINCT m.image) > 1
ORDER BY public DESC, images DESC, m.series, i.dst, i.dst_port
