-- What triggers share: they insert values into these views, as a procedure is called (SQLite parses the text of each trigger
-- at the start of every command, so it stands once).
--
-- ip_check and text_check are of several columns: of the row they get the JSON before and after the edit. refuse_check has the
-- sentences, by 'table.column' (checks.c).
--
-- ip_check: what the text of an address is, of the family of the row or of its socket. kind: 0 an address, 1 a prefix or
-- 'default', 2 a prefix with no bit set behind its length (fib_table_insert(), ip6_route_info_create(); an operation of ours
-- writes what inet_format() makes), 3 an address of the other family. An IPv4 address is decimal without leading zeros
-- (inet(7)). One IPv6 address has one text, that of inet_ntop(3), which a search or a comparison finds: the longest run of
-- two groups of zeros or more is written ::, the first of several; the last 32 bits of an IPv4-mapped one, and of one that
-- has nothing else, are written as IPv4.
--
-- v is the text, b the text without length, p the length with its slash, y b with a colon on both sides, g how many groups
-- are written, d where it is written as IPv4, v4 whether that is right, f the family. The limits keep SQLite from putting
-- what makes these into each place that uses them.
CREATE VIEW ip_check AS SELECT '' AS tbl, '' AS col, 0 AS kind, '' AS before, '' AS after;
CREATE TRIGGER ip_check_insert INSTEAD OF INSERT ON ip_check WHEN NEW.after ->> NEW.col IS NOT NULL AND (NEW.before ->> NEW.col
 IS NOT NEW.after ->> NEW.col OR NEW.before ->> 'family' IS NOT NEW.after ->> 'family') BEGIN
 INSERT INTO refuse_check SELECT NEW.tbl || '.' || NEW.col || CASE
  WHEN NEW.kind IN (1, 2) AND v = 'default' THEN NULL
  WHEN p <> '' AND (NEW.kind IN (0, 3) OR p NOT GLOB '/[0-9]*' OR p GLOB '/*[^0-9]*'
    OR CAST(substr(p, 2) AS INTEGER) > iif(f = 2, 32, 128))
   OR CASE f WHEN 2 THEN b GLOB '*:*' OR NOT v4 WHEN 10 THEN b NOT GLOB '*:*' END THEN ''
  WHEN b GLOB '*:*' THEN CASE WHEN b GLOB '*[^0-9a-f:.]*' OR b GLOB '*:::*' OR b LIKE '%::%::%' OR y GLOB '::[^:]*'
    OR y GLOB '*[^:]::' OR y GLOB '*:0[0-9a-f]*' OR y GLOB '*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*' OR CASE
     WHEN b GLOB '*.*' THEN b NOT GLOB '::*' OR b GLOB '::0.0.*' OR NOT v4
     WHEN b NOT GLOB '*::*' THEN g <> 8 OR y GLOB '*:0:0:*'
     ELSE g > 6 OR y GLOB '*:0::*' OR y GLOB '*::0:*' OR (g = 2 AND b GLOB '::*')
      OR (g = 3 AND b GLOB '::ffff:*')
      OR (g = 6 AND (y GLOB '*:0:0:0:*' OR y GLOB '*:0:0:*::*'))
      OR (g = 5 AND (y GLOB '*:0:0:0:0:*' OR y GLOB '*:0:0:0:*::*')) END THEN ' IPv6'
   WHEN NEW.kind = 2 AND op = 0 AND p <> '' AND b NOT GLOB '*.*' AND EXISTS (
    WITH RECURSIVE s(i, r, len) AS (SELECT 1, replace(b, '::', iif(b GLOB '::*', '', ':') ||
      substr('0:0:0:0:0:0:0:0', 1, 15 - 2 * g) || iif(b GLOB '*::', '', ':')) || ':', CAST(substr(p, 2) AS INTEGER)
     UNION ALL SELECT i + 1, substr(r, instr(r, ':') + 1), len FROM s WHERE i < 8),
    h(i, h, len) AS (SELECT i, substr('000' || substr(r, 1, instr(r, ':') - 1), -4), len FROM s)
    SELECT 1 FROM h WHERE ((instr('123456789abcdef', substr(h, 1, 1)) << 12) +
     (instr('123456789abcdef', substr(h, 2, 1)) << 8) + (instr('123456789abcdef', substr(h, 3, 1)) << 4) +
     instr('123456789abcdef', substr(h, 4, 1))) & ((1 << max(0, min(16, 16 * i - len))) - 1))
    THEN ' bits' END
  WHEN f = 2 AND NEW.kind = 2 AND op = 0 AND p <> '' AND (SELECT (json_extract(j, '$[0]') << 24) +
    (json_extract(j, '$[1]') << 16) + (json_extract(j, '$[2]') << 8) + json_extract(j, '$[3]')
    FROM (SELECT '[' || replace(b, '.', ',') || ']' AS j)) & ((1 << (32 - substr(p, 2))) - 1)
   THEN ' bits' END
 FROM (SELECT *, d GLOB '[0-9]*.[0-9]*.[0-9]*.[0-9]*' AND NOT (d GLOB '*[^0-9.]*' OR d GLOB '*.*.*.*.*' OR d GLOB '*..*'
   OR d GLOB '*[0-9][0-9][0-9][0-9]*' OR d GLOB '*[3-9][0-9][0-9]*' OR d GLOB '*2[6-9][0-9]*' OR d GLOB '*25[6-9]*'
   OR d GLOB '0[0-9]*' OR d GLOB '*.0[0-9]*') AS v4
  FROM (SELECT *, substr(v, length(b) + 1) AS p, ':' || b || ':' AS y,
   iif(b GLOB '*:*', substr(replace(b, '::ffff:', '::'), 3), b) AS d,
   length(b) - length(replace(b, ':', '')) + (b NOT GLOB '*::*') - (b GLOB '::*') - (b GLOB '*::') AS g
   FROM (SELECT *, substr(v, 1, instr(v || '/', '/') - 1) AS b, iif(NEW.kind = 3, 12 - of, of) AS f
    FROM (SELECT iif(importing = 4, 0, op) AS op, NEW.after ->> NEW.col AS v, coalesce(NEW.after ->> 'family',
      (SELECT family FROM socket WHERE id = NEW.after ->> 'socket')) AS of
     FROM edit_state WHERE importing IN (0, 4) LIMIT 1) LIMIT 1) LIMIT 1) LIMIT 1);
END;
-- text_check: a name is UTF-8 without what base/escape.h escapes. It is when each of its characters is what char() makes of
-- its number: unicode() reads a wrong sequence as U+FFFD. Nearly all are printable ASCII without a backslash, and that is seen
-- at once. A zero byte ends what ->> makes of it. One name has one text, which an export and import gives back: an escape is
-- neither of ASCII that can be shown nor of the bytes of a character that can (those that begin with c2, d8, e0, e2, ed, f0
-- and f4 are not looked at: some of them cannot).
CREATE VIEW text_check AS SELECT '' AS tbl, '' AS col, '' AS before, '' AS after;
CREATE TRIGGER text_check_insert INSTEAD OF INSERT ON text_check WHEN NEW.after ->> NEW.col GLOB '*[^] -[^-~]*'
 OR instr(NEW.after, '\u0000') BEGIN
 INSERT INTO refuse_check SELECT NEW.tbl || '.' || NEW.col FROM edit_state
  WHERE importing IN (0, 4) AND NEW.before -> NEW.col IS NOT NEW.after -> NEW.col
  AND (replace(NEW.after -> NEW.col, '\\', '') GLOB '*\u0000*' OR EXISTS (
   WITH RECURSIVE s(r) AS (SELECT NEW.after ->> NEW.col UNION ALL SELECT substr(r, 2) FROM s WHERE r <> '')
   SELECT 1 FROM s WHERE r <> '' AND (substr(r, 1, 1) <> char(unicode(r)) OR unicode(r) < 32
    OR unicode(r) BETWEEN 127 AND 159 OR unicode(r) IN (1564, 8206, 8207) OR unicode(r) BETWEEN 8234 AND 8238
    OR unicode(r) BETWEEN 8294 AND 8297)));
 INSERT INTO refuse_check SELECT NEW.tbl || '.' || NEW.col || ' escape' FROM edit_state,
  (SELECT replace(NEW.after ->> NEW.col, '\\', '') AS r)
  WHERE importing = 0 AND r GLOB '*\*' AND NEW.before -> NEW.col IS NOT NEW.after -> NEW.col
  AND (instr(replace(r, '\x', ''), '\') OR r || '/' GLOB '*\x[^0-9a-f]*' OR r || '/' GLOB '*\x?[^0-9a-f]*'
   OR r GLOB '*\x[2-6]*' OR r GLOB '*\x7[0-9a-e]*' OR r GLOB '*\xc[3-9a-f]\x[89ab]*' OR r GLOB '*\xd[0-79a-f]\x[89ab]*'
   OR r GLOB '*\xe[13-9abcef]\x[89ab]?\x[89ab]*' OR r GLOB '*\xf[1-3]\x[89ab]?\x[89ab]?\x[89ab]*');
END;
-- log_change: a row of the log, with the number that comes next: one without is not of these triggers and is refused.
CREATE VIEW log_change AS SELECT '' AS tbl, 0 AS row, '' AS action, '' AS before, '' AS after;
CREATE TRIGGER log_change_insert INSTEAD OF INSERT ON log_change BEGIN
 INSERT INTO edit_log (id, op, tbl, row, action, before, after) SELECT ifnull((SELECT max(id) FROM edit_log), 0) + 1,
  op, NEW.tbl, NEW.row, NEW.action, NEW.before, NEW.after FROM edit_state;
END;
