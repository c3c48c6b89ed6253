#include "base/caps.h"

#include <errno.h>
#include <stdio.h>
#include <sys/capability.h>
#include <sys/prctl.h>

static void caps_free_(cap_t *c)
{
	if (*c)
		cap_free(*c);
}
#define auto_caps __attribute__((cleanup(caps_free_)))

static bool caps_get(cap_t caps, cap_value_t cap)
{
	cap_flag_value_t v = CAP_CLEAR;

	return caps && !cap_get_flag(caps, cap, CAP_EFFECTIVE, &v) && v == CAP_SET;
}

bool caps_has(int cap)
{
	auto_caps cap_t caps = cap_get_proc();

	return caps_get(caps, cap);
}

int caps_need(uint64_t mask, const char *what, struct err *e)
{
	auto_caps cap_t caps = cap_get_proc();
	char list[512] = "";
	size_t len = 0;
	int missing = 0;

	if (!caps)
		return err_sys(e, ERR_KERNEL, "read the capabilities of this process");
	for (int cap = 0; cap < 64 && len < sizeof(list); cap++) {
		char *name;

		if (!(mask & CAPS_BIT(cap)) || caps_get(caps, cap))
			continue;
		name = cap_to_name(cap);
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "",
					name ? name : "?");
		cap_free(name);
		missing++;
	}
	if (!missing)
		return 0;
	return err_set(e, ERR_PERM,
		       "%s needs the capabilit%s %s; run it as root, or inside a user namespace "
		       "that owns the network namespaces (unshare -Urnm)",
		       what, missing > 1 ? "ies" : "y", list);
}

/* To drop one costs a copy of the credentials, also when it is not there any more. */
void caps_keep_bound(uint64_t mask)
{
	for (int cap = 0; cap < (int)cap_max_bits(); cap++)
		if (!(mask & CAPS_BIT(cap)) && cap_get_bound(cap) > 0)
			cap_drop_bound(cap);
}

int caps_keep(uint64_t mask, struct err *e)
{
	auto_caps cap_t now = cap_get_proc(), next = cap_init();

	if (!now || !next)
		return err_sys(e, ERR_KERNEL, "read the capabilities of this process");
	for (int cap = 0; cap < (int)cap_max_bits(); cap++) {
		cap_value_t v = cap;
		cap_flag_value_t have = CAP_CLEAR;

		if (mask & CAPS_BIT(cap) && !cap_get_flag(now, v, CAP_PERMITTED, &have) &&
		    have == CAP_SET &&
		    (cap_set_flag(next, CAP_PERMITTED, 1, &v, CAP_SET) ||
		     cap_set_flag(next, CAP_EFFECTIVE, 1, &v, CAP_SET)))
			return err_sys(e, ERR_KERNEL, "capability %d", cap);
	}
	caps_keep_bound(mask);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (cap_set_proc(next))
		return err_sys(e, ERR_KERNEL, "drop capabilities");
	return 0;
}

int caps_drop_all(struct err *e)
{
	return caps_keep(0, e);
}

int caps_keep_files(struct err *e)
{
	return caps_keep(CAPS_BIT(CAP_DAC_OVERRIDE) | CAPS_BIT(CAP_DAC_READ_SEARCH), e);
}
