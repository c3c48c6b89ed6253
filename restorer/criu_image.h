/* criu_image.h: the images of a restore as CRIU gets them: exported, with every namespace external.
 *
 * Owns:  the folder they are written to, from criu_image_make until it is removed.
 * Never: changes the database. What differs from a plain export is patched in the files of the folder.
 * Key:   CRIU finds the namespace behind an inherited descriptor by a key, which is CRIU_KEY with the number of the
 *        namespace in the image.
 */
#pragma once

#include "restorer/criu_supply.h"
#include "restorer/restore.h"

#define CRIU_KEY    "nsimg-netns-%lld"

/* The folder of the images within the work folder, and CRIU's log there. */
#define CRIU_IMAGES "images"
#define CRIU_LOG    "restore.log"

/* Where an instance has its work folder: below TMPDIR, or /tmp. Appended. */
int criu_image_place(const struct restore *r, struct buf *out, struct err *e);

/* Export into the work folder, which must not exist; make the namespaces external, and the tun descriptors too. */
int criu_image_make(const struct restore *r, const struct criu_supply *supply, struct err *e);
