/* map_options.h: the socket options of nsimg_sk.opt as one JSON object, and back.
 *
 * Owns:  nothing. Names and value forms are those of proto/sockopt_table.h; an option without a row there
 *        is "LEVEL:NUMBER" with its bytes as "hex:...".
 */
#pragma once

#include "imgdb/map.h"
#include "base/json.h"

/* it stands before the nsimg_sockopt messages. */
int map_options_json(struct wire_values *it, struct buf *out, struct err *e);

/* One member of the object as the bytes of an nsimg_sockopt message. */
int map_options_message(const char *key, const struct json *value, struct buf *out, struct err *e);
