/* criutree: the processes that the tests of tests/criu give to CRIU.
 *
 * "outer" and its child "inner", each in a network namespace of its own, joined by a veth pair. Each has a TCP
 * listener at the same port number, UDP and unix sockets; an established TCP connection and a unix pair go from
 * one namespace to the other. Who connects to a listener gets one line: the name of the task and what came back
 * through the established connection and the pair, so one question tells whether all of it works.
 *
 * Usage: criutree FILE: a session of its own, no descriptor of the caller; FILE has the two pids when it is ready.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Descriptors have fixed numbers, so that a test can name them. */
enum {
	FD_TCP = 10,
	FD_UDP,
	FD_UNIX,
	FD_PATH,
	FD_LINK, /* the established connection */
	FD_PAIR,
	FD_END
};

static void need(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "criutree: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void at(int fd, int number)
{
	need(fd >= 0 && dup2(fd, number) == number, "a descriptor");
	if (fd != number)
		close(fd);
}

static struct sockaddr_in in(const char *addr, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

	inet_pton(AF_INET, addr, &a.sin_addr);
	return a;
}

static void make_inet(const char *addr)
{
	struct sockaddr_in tcp = in(addr, 7001), udp = in(addr, 7002);

	at(socket(AF_INET, SOCK_STREAM, 0), FD_TCP);
	need(!bind(FD_TCP, (void *)&tcp, sizeof(tcp)) && !listen(FD_TCP, 9), "TCP listener");
	at(socket(AF_INET, SOCK_DGRAM, 0), FD_UDP);
	need(!bind(FD_UDP, (void *)&udp, sizeof(udp)), "UDP socket");
}

static void make_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	/* the same abstract name in both namespaces */
	memcpy(a.sun_path + 1, "criutree", 8);
	at(socket(AF_UNIX, SOCK_STREAM, 0), FD_UNIX);
	need(!bind(FD_UNIX, (void *)&a, offsetof(struct sockaddr_un, sun_path) + 9) &&
		     !listen(FD_UNIX, 5),
	     "abstract listener");
	memset(&a.sun_path, 0, sizeof(a.sun_path));
	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	at(socket(AF_UNIX, SOCK_DGRAM, 0), FD_PATH);
	need(!bind(FD_PATH, (void *)&a, sizeof(a)), "unix datagram socket");
}

/* A word through fd to the other task and back. */
static const char *ask(int fd)
{
	struct timeval tv = {2, 0};
	char c = 'q';

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (send(fd, &c, 1, MSG_NOSIGNAL) != 1)
		return "cannot-send";
	if (recv(fd, &c, 1, 0) != 1)
		return "no-answer";
	return c == 'a' ? "ok" : "other";
}

static void answer_call(int listener, const char *name, int asks)
{
	int c = accept(listener, NULL, NULL);
	char line[128];
	int n;

	if (c < 0)
		return;
	n = snprintf(line, sizeof(line), "%s%s%s%s%s\n", name, asks ? " link=" : "",
		     asks ? ask(FD_LINK) : "", asks ? " pair=" : "", asks ? ask(FD_PAIR) : "");
	if (send(c, line, (size_t)n, MSG_NOSIGNAL) < 0)
		fprintf(stderr, "criutree: answer\n");
	close(c);
}

static void answer_datagram(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char text[256];
	ssize_t n = recvfrom(fd, text, sizeof(text), 0, (void *)&from, &len);

	if (n > 0)
		sendto(fd, text, (size_t)n, MSG_NOSIGNAL, (void *)&from, len);
}

/* Answers for ever. Only inner asks through the connection and the pair: outer only answers them. */
static void serve(const char *name, int asks)
{
	int n = asks ? FD_LINK : FD_END;
	struct pollfd p[FD_END] = {{0}};
	int gone[FD_END] = {0}; /* descriptors that a test had dropped */
	char c;

	for (;;) {
		for (int i = FD_TCP; i < n; i++)
			p[i] = (struct pollfd){gone[i] ? -1 : i, POLLIN, 0};
		poll(p + FD_TCP, (nfds_t)(n - FD_TCP), -1);
		for (int i = FD_TCP; i < n; i++) {
			if (!p[i].revents)
				continue;
			if (p[i].revents & POLLNVAL)
				gone[i] = 1;
			else if (i == FD_TCP || i == FD_UNIX)
				answer_call(i, name, asks);
			else if (i == FD_UDP || i == FD_PATH)
				answer_datagram(i);
			else if (recv(i, &c, 1, 0) != 1 || send(i, "a", 1, MSG_NOSIGNAL) != 1)
				exit(1);
		}
	}
}

static void inner(int turn)
{
	struct sockaddr_in to = in("10.77.0.1", 7001);
	char c;

	need(!unshare(CLONE_NEWNET) && write(turn, "n", 1) == 1, "namespace of inner");
	need(read(turn, &c, 1) == 1, "the turn of inner");
	need(!system("ip link set lo up && ip address add 10.77.0.2/24 dev right && ip link set "
		     "right up"),
	     "addresses of inner");
	make_inet("10.77.0.2");
	make_unix("/tmp/criutree-inner");
	at(socket(AF_INET, SOCK_STREAM, 0), FD_LINK);
	need(!connect(FD_LINK, (void *)&to, sizeof(to)), "connection to outer");
	need(write(turn, "c", 1) == 1, "the turn of outer");
	close(turn);
	serve("inner", 1);
}

static void outer(pid_t child, int turn)
{
	char c, text[128];

	need(read(turn, &c, 1) == 1, "the namespace of inner");
	snprintf(text, sizeof(text),
		 "ip link add left type veth peer name right netns %d && ip address add "
		 "10.77.0.1/24 dev left && "
		 "ip link set left up",
		 (int)child);
	need(!system(text), "veth pair");
	make_inet("10.77.0.1");
	make_unix("/tmp/criutree-outer");
	need(write(turn, "g", 1) == 1 && read(turn, &c, 1) == 1, "the connection of inner");
	at(accept(FD_TCP, NULL, NULL), FD_LINK);
	close(turn);
}

int main(int argc, char **argv)
{
	int pair[2], turn[2], null;
	pid_t child;
	FILE *f;

	need(argc == 2, "a file for the pids");
	close_range(3, ~0u, 0);
	need(setsid() > 0, "setsid: run it in the background");
	null = open("/dev/null", O_RDWR);
	dup2(null, 0);
	dup2(null, 1);
	need(!unshare(CLONE_NEWNET) && !system("ip link set lo up"), "namespace of outer");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair) &&
		     !socketpair(AF_UNIX, SOCK_STREAM, 0, turn),
	     "pairs");
	child = fork();
	need(child >= 0, "fork");
	at(pair[!child], FD_PAIR);
	close(pair[!!child]);
	close(turn[!child]);
	if (!child) {
		dup2(null, 2);
		close(null);
		inner(turn[0]);
	}
	outer(child, turn[1]);
	f = fopen(argv[1], "w");
	need(f && fprintf(f, "%d %d\n", (int)getpid(), (int)child) > 0 && !fclose(f), argv[1]);
	dup2(null, 2);
	close(null);
	serve("outer", 0);
}
