/* tun.h: descriptors of /dev/net/tun (kernel Documentation/networking/tuntap.rst). */
#pragma once

#include "dumper/dump.h"
#include "proto/img.h"

/* Add a tunfile_entry for fd (borrowed): the device it is attached to, in which namespace (TUNGETDEVNETNS),
 * detached queue or not. holder_ns is the namespace of the task, for a descriptor without a device. */
int tun_dump(struct dump *d, int fd, uint32_t file_id, struct dump_netns *holder_ns,
	     const char *owner, struct img_writer *files, struct err *e);
