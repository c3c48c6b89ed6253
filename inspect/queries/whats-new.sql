-- What an image has that the one before it in its series has not (several images of one container).
--
-- A series is the images of one container (by its name), of one target of nsimg dump, or else of one folder, in the
-- order of the time they were taken: the view image_series. Only what means something to people is compared: no inodes, no pids.
-- With --image, what is new in that image.
--
-- Columns:
--   image     number of the image
--   before    number of the image it is compared with
--   series    name of the series
--   what      netns, task, listener, unix name, packet socket, peer, device, address, route or rule
--   netns     namespace
--   value     the new thing
-- include things.inc
SELECT p.image, p.before, p.series, t.what, t.netns, t.value
FROM pair p
CROSS JOIN thing t ON t.image = p.image
WHERE t.value IS NOT NULL
	AND NOT EXISTS (SELECT 1 FROM thing o WHERE o.image = p.before AND o.what = t.what AND o.netns IS t.netns
		AND o.value = t.value)
ORDER BY p.series, p.image, t.what, t.netns, t.value
