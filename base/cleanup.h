/* cleanup.h: release at the end of scope, so that early return is always safe.
 *
 * A local marked auto_free / auto_close is released when its scope ends; take_ptr / take_fd hand the
 * value over and leave NULL / -1 behind. A module with its own type puts its own macro beside it:
 * DEFINE_CLEANUP(auto_buf, struct buf, buf_free) style helpers are below.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <dirent.h>

static inline void cleanup_free_(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file_(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_dir_(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define auto_free  __attribute__((cleanup(cleanup_free_)))
#define auto_close __attribute__((cleanup(cleanup_close_)))
#define auto_file  __attribute__((cleanup(cleanup_file_)))
#define auto_dir   __attribute__((cleanup(cleanup_dir_)))

/* For a type with "void type_free(type *)": a function to name in __attribute__((cleanup(...))). */
#define DEFINE_CLEANUP(fn, type, release)                                                          \
	static inline void fn(type **p)                                                            \
	{                                                                                          \
		release(*p);                                                                       \
	}

/* Hand over: the value, with NULL or -1 left in the variable. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__auto_type taken_ = (p);                                                          \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

static inline int take_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
