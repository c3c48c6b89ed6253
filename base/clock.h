/* clock.h: time that only goes forward, to measure and to wait by (CLOCK_MONOTONIC, clock_gettime(2)). */
#pragma once

#include <stdint.h>
#include <time.h>

/* Microseconds since some moment before the process began. */
static inline uint64_t clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static inline uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}
