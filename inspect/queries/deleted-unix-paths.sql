-- Unix sockets whose path is gone: bound to a file that was deleted since.
--
-- Nobody can connect to them by that path any more; who has them open still talks.
--
-- Columns:
--   image   number of the image
--   netns   namespace of the socket
--   netid   u_str, u_dgr, u_seq
--   state   its state
--   path    the path it was bound to
--   owners  who holds it: name(pid):descriptor
SELECT v.image, v.netns, v.netid, v.state, u.name AS path, v.owners
FROM unix_socket u
JOIN sockets_view v ON v.id = u.socket
WHERE u.deleted = 1 AND (:image IS NULL OR v.image = :image)
ORDER BY v.image, v.netns, u.name, u.socket
