-- Sockets that listen on every address of their namespace.
--
-- Listeners, and bound, not connected sockets of protocols without connections (UDP), with local address 0.0.0.0
-- or ::. Who can reach them follows from the addresses of the namespace.
--
-- Columns:
--   image      number of the image
--   netns      namespace of the socket
--   netid      tcp, udp, udplite, ...
--   address    0.0.0.0 or ::
--   port       the port
--   device     the only device it listens on (SO_BINDTODEVICE)
--   v6only     1: not for IPv4 as well; 0: for both
--   addresses  how many addresses other than those of lo the namespace has
--   owners     who holds it: name(pid):descriptor
SELECT v.image, v.netns, v.netid, i.src AS address, i.src_port AS port, s.so_bound_dev AS device, i.v6only,
	(SELECT count(*) FROM address a WHERE a.netns = s.netns AND a.address NOT LIKE '127.%' AND a.address <> '::1')
		AS addresses,
	v.owners
FROM inet_socket i
JOIN socket s ON s.id = i.socket
JOIN sockets_view v ON v.id = i.socket
WHERE i.src IN ('0.0.0.0', '::') AND i.src_port <> 0 AND s.protocol NOT IN (1, 58)
	AND (s.state = 10 OR (s.type NOT IN (1, 3) AND s.state IS NOT 1))
	AND (:image IS NULL OR s.image = :image)
ORDER BY v.image, v.netns, i.src_port, i.socket
