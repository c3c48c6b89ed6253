#include "base/stop.h"

#include <signal.h>
#include <string.h>

static volatile sig_atomic_t asked;

static void note(int sig)
{
	asked = sig;
}

void stop_begin(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	/* calls in libraries are not prepared to be interrupted */
	struct sigaction sa = {.sa_handler = note, .sa_flags = SA_RESTART}, old;

	sigemptyset(&sa.sa_mask);
	/* what is ignored (nohup(1)) stays so */
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

bool stop_is_asked(void)
{
	return asked;
}

int stop_check(struct err *e)
{
	return asked ? err_set(e, ERR_INTERRUPTED, "stopped by signal %d (%s)", (int)asked,
			       strsignal(asked))
		     : 0;
}
