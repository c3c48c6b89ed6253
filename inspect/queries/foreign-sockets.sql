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
SELECT v.image, t.pid, t.comm, fd.fd, tn.name AS task_netns, v.netns AS socket_netns, v.netid, v.state, v.local, v.peer
FROM task t
JOIN fd ON fd.image = t.image AND fd.files_id = t.files_id
JOIN socket s ON s.image = fd.image AND s.file_id = fd.file_id AND s.netns IS NOT t.netns AND s.netns IS NOT NULL
JOIN sockets_view v ON v.id = s.id
LEFT JOIN netns tn ON tn.id = t.netns
WHERE (:image IS NULL OR t.image = :image)
ORDER BY v.image, t.pid, fd.fd
