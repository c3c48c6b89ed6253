/* colour.h: a few colours for people, as "ip -color" and "ls --color" use them.
 *
 * Never: colours what is no terminal, where NO_COLOR is set (no-color.org) or where the terminal is dumb.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

enum tone {
	TONE_NONE,
	TONE_GOOD, /* green: up, listening, added */
	TONE_BAD,  /* red: down, errors, removed */
	TONE_WARN, /* yellow */
	TONE_NAME, /* cyan: names of devices and namespaces */
	TONE_MAC,  /* yellow */
	TONE_IPV4, /* magenta */
	TONE_IPV6, /* blue */
	TONE_COUNT
};

bool colour_wanted(FILE *out);

/* The bytes before and after a text; "" for TONE_NONE. Static. */
const char *colour_begin(enum tone t);
const char *colour_end(enum tone t);
