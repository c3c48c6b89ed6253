#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "dumper/sk_values.h"
#include "proto/sockopt_table.h"

enum { SOCKETS = 200 };

static struct err the_err;

static int priority(int i)
{
	return i % 7; /* SO_PRIORITY: 0 to 6 without a privilege (socket(7)) */
}

static void post_all(struct sk_readers *p, struct sk_values v[static SOCKETS])
{
	for (int i = 0; i < SOCKETS; i++) {
		int type = i % 2 ? SOCK_STREAM : SOCK_DGRAM, n = priority(i);

		v[i].fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
		assert_true(v[i].fd >= 0);
		assert_int_equal(setsockopt(v[i].fd, SOL_SOCKET, SO_PRIORITY, &n, sizeof(n)), 0);
		v[i].kind = sockopt_kind(AF_INET, type, i % 2 ? IPPROTO_TCP : IPPROTO_UDP);
		sk_values_post(p, &v[i]);
	}
}

static void free_all(struct sk_readers *p, struct sk_values v[static SOCKETS])
{
	for (int i = 0; i < SOCKETS; i++) {
		sk_values_free(p, &v[i]);
		close(v[i].fd);
	}
}

/* Whoever read them: every row that such a socket has, with what getsockopt says. */
static void test_values(void **state)
{
	struct sk_readers *p = sk_readers_new(&the_err);
	static struct sk_values v[SOCKETS];
	auto_buf struct buf bytes = {0};

	(void)state;
	assert_non_null(p);
	memset(v, 0, sizeof(v));
	post_all(p, v);
	for (int i = 0; i < SOCKETS; i++) {
		size_t n = 0;

		if (sk_values_wait(p, &v[i], &the_err))
			fail_msg("%s", the_err.msg);
		for (size_t row = 0; row < sockopt_count(); row++) {
			const struct sockopt *o = sockopt_get(row);
			struct span got;
			int has;

			if (!(o->kinds & v[i].kind))
				continue;
			assert_int_equal(v[i].all[n].row, row);
			has = sk_value(&v[i], n++, &got);
			assert_int_equal(has, sockopt_read(v[i].fd, o, &bytes, &the_err));
			/* what the kernel counts goes on */
			if (!has || strcmp(o->name, "SO_PRIORITY") != 0)
				continue;
			assert_int_equal(got.len, sizeof(int));
			assert_memory_equal(got.data, bytes.data, got.len);
			assert_int_equal(*(const int *)got.data, priority(i));
		}
		assert_int_equal(v[i].n, n);
		assert_false(sk_value(&v[i], n, &(struct span){0}));
	}
	free_all(p, v);
	sk_readers_free(p);
}

/* A dump that fails leaves sockets that nobody waits for, begun or not. */
static void test_nobody_waits(void **state)
{
	struct sk_readers *p = sk_readers_new(&the_err);
	static struct sk_values v[SOCKETS];

	(void)state;
	assert_non_null(p);
	memset(v, 0, sizeof(v));
	post_all(p, v);
	free_all(p, v);
	sk_readers_free(p);
}

static void test_no_socket(void **state)
{
	struct sk_readers *p = sk_readers_new(&the_err);
	struct sk_values v = {.fd = -1, .kind = SOCKOPT_TCP4};

	(void)state;
	assert_non_null(p);
	sk_values_post(p, &v);
	assert_int_equal(sk_values_wait(p, &v, &the_err), -1);
	assert_int_equal(the_err.code, ERR_KERNEL);
	sk_values_free(p, &v);
	sk_readers_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_nobody_waits),
		cmocka_unit_test(test_no_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
