#include <stdio.h>
int main(void)
{
	fputs("usage: nsimg COMMAND\n", stderr);
	return 2;
}
