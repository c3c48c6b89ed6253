-- Sockets with a program attached: a classic BPF filter, or an eBPF program, which the kernel does not tell.
--
-- Columns:
--   image         number of the image
--   netns         namespace of the socket
--   netid         kind of socket
--   state         its state
--   local         its local address
--   instructions  length of the classic filter
--   ebpf          1: an eBPF program is attached
--   owners        who holds it: name(pid):descriptor
SELECT v.image, v.netns, v.netid, v.state, v.local, length(s.so_filter) / 8 AS instructions,
	coalesce(s.bpf_filter, 0) AS ebpf, v.owners
FROM socket s
JOIN sockets_view v ON v.id = s.id
WHERE (s.so_filter IS NOT NULL OR s.bpf_filter = 1) AND (:image IS NULL OR s.image = :image)
ORDER BY v.image, v.netns, s.id
