-- Sockets that a task holds although they live in another namespace than the task.
--
-- Socket activation, a descriptor passed on, or a task that went to another namespace after it opened them: a way
-- past the borders of namespaces that a list of sockets without namespaces does not show.
--
-- Columns:
--   image         number of the image
--   pid           process that holds it
--   comm          its name
--   fd            its descriptor
--   task_netns    namespace of the process
--   socket_netns  namespace of the socket
--   netid         kind of socket
--   state         its state
--   local         its local address
--   peer          the other end
WITH foreign_fd (fd, task, socket) AS MATERIALIZED (
	-- in this order, and with no other columns, all of it comes out of indexes
	SELECT fd.id, t.id, s.id
	FROM fd
	CROSS JOIN task t ON t.image = fd.image AND t.files_id = fd.files_id
	CROSS JOIN socket s ON s.image = fd.image AND s.file_id = fd.file_id
	WHERE s.netns IS NOT t.netns AND s.netns IS NOT NULL AND (:image IS NULL OR fd.image = :image)
)
SELECT v.image, t.pid, t.comm, fd.fd, tn.name AS task_netns, v.netns AS socket_netns, v.netid, v.state, v.local, v.peer
FROM foreign_fd f
JOIN fd ON fd.id = f.fd
JOIN task t ON t.id = f.task
JOIN sockets_view v ON v.id = f.socket
LEFT JOIN netns tn ON tn.id = t.netns
ORDER BY v.image, t.pid, fd.fd
