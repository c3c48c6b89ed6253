/* print_ip.h: what the files that print steps as commands of ip(8) share. Only for print_ip*.c. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Append s as a word of the shell: names out of a database may hold anything, and somebody may paste the
 * output. */
int print_ip_word(struct buf *out, const char *s, struct err *e);

/* Append a line. "%" in fmt is the next of the words; a NULL word is "?". */
int print_ip_command(struct buf *out, struct err *e, const char *fmt, const char *const *words);

/* The last word of a step's object: the peer, the master or the other namespace. */
const char *print_ip_last_word(const char *object);
