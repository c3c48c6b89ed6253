-- What the text of an IPv6 address is: the triggers of checks.c insert it here, as a procedure is called (SQLite parses
-- the text of each trigger at the start of every command, so it stands once).
--
-- One address has one text, that of inet_ntop(3), which a search or a comparison finds: the longest run of two groups of
-- zeros or more is written ::, the first of several; the last 32 bits of an IPv4-mapped one, and of one that has nothing
-- else, are written as IPv4. is_network: no bit is set behind the length (ip6_route_info_create() takes them away).
--
-- b is the text without length, y that with a colon on both sides, g how many groups are written. The limits keep SQLite
-- from putting what makes these into each place that uses them.
CREATE VIEW ipv6_check AS SELECT '' AS v, 0 AS is_network;
CREATE TRIGGER ipv6_check_insert INSTEAD OF INSERT ON ipv6_check BEGIN
 SELECT CASE WHEN b GLOB '*[^0-9a-f:.]*' OR b GLOB '*:::*' OR b LIKE '%::%::%' OR y GLOB '::[^:]*'
  OR y GLOB '*[^:]::' OR y GLOB '*:0[0-9a-f]*' OR y GLOB '*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*'
  OR CASE
   WHEN b GLOB '*.*' THEN b NOT GLOB '::*' OR b GLOB '::0.0.*' OR d NOT GLOB '[0-9]*.[0-9]*.[0-9]*.[0-9]*'
    OR d GLOB '*[^0-9.]*' OR d GLOB '*.*.*.*.*' OR d GLOB '*..*' OR d GLOB '*[0-9][0-9][0-9][0-9]*'
    OR d GLOB '*[3-9][0-9][0-9]*' OR d GLOB '*2[6-9][0-9]*' OR d GLOB '*25[6-9]*' OR d GLOB '0[0-9]*'
    OR d GLOB '*.0[0-9]*'
   WHEN b NOT GLOB '*::*' THEN g <> 8 OR y GLOB '*:0:0:*'
   ELSE g > 6 OR y GLOB '*:0::*' OR y GLOB '*::0:*' OR (g = 2 AND b GLOB '::*')
    OR (g = 3 AND b GLOB '::ffff:*')
    OR (g = 6 AND (y GLOB '*:0:0:0:*' OR y GLOB '*:0:0:*::*'))
    OR (g = 5 AND (y GLOB '*:0:0:0:0:*' OR y GLOB '*:0:0:0:*::*')) END
 THEN RAISE(ABORT, 'not an IPv6 address, or not as inet_ntop(3) writes it: fd00::1, ::ffff:10.0.0.1')
 WHEN NEW.is_network AND NEW.v GLOB '*/*' AND b NOT GLOB '*.*' AND EXISTS (
  WITH RECURSIVE s(i, r, len) AS (SELECT 1, replace(b, '::', iif(b GLOB '::*', '', ':') ||
    substr('0:0:0:0:0:0:0:0', 1, 15 - 2 * g) || iif(b GLOB '*::', '', ':')) || ':',
    CAST(substr(NEW.v, length(b) + 2) AS INTEGER)
   UNION ALL SELECT i + 1, substr(r, instr(r, ':') + 1), len FROM s WHERE i < 8),
  h(i, h, len) AS (SELECT i, substr('000' || substr(r, 1, instr(r, ':') - 1), -4), len FROM s)
  SELECT 1 FROM h WHERE ((instr('123456789abcdef', substr(h, 1, 1)) << 12) +
   (instr('123456789abcdef', substr(h, 2, 1)) << 8) + (instr('123456789abcdef', substr(h, 3, 1)) << 4) +
   instr('123456789abcdef', substr(h, 4, 1))) & ((1 << max(0, min(16, 16 * i - len))) - 1))
 THEN RAISE(ABORT, 'route: bits are set behind the length of the prefix') END
 FROM (SELECT *, substr(replace(b, '::ffff:', '::'), 3) AS d,
   length(b) - length(replace(b, ':', '')) + (b NOT GLOB '*::*') - (b GLOB '::*') - (b GLOB '*::') AS g
  FROM (SELECT b, ':' || b || ':' AS y
   FROM (SELECT substr(NEW.v, 1, instr(NEW.v || '/', '/') - 1) AS b LIMIT 1) LIMIT 1) LIMIT 1);
END;
