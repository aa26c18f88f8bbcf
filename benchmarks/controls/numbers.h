/* What the controls share: the numbers of a text of the kernel. */
#include <stdint.h>

static uint64_t numbers(const char *at, const char *end)
{
	uint64_t sum = 0, number = 0;
	for (; at < end; at++) {
		unsigned digit = (unsigned)(*at - '0');
		if (digit < 10)
			number = number * 10 + digit;
		else
			sum += number, number = 0;
	}
	return sum + number;
}
