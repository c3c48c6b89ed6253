#include "base/who.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

void who_and_where(char *text, size_t size)
{
	const struct passwd *pw = getpwuid(getuid());
	char host[256] = "?";

	gethostname(host, sizeof(host) - 1);
	if (pw)
		snprintf(text, size, "%s@%s", pw->pw_name, host);
	else
		snprintf(text, size, "uid %u@%s", (unsigned)getuid(), host);
}
