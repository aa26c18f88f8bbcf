/* Control of `polling`: a loop that wakes at absolute deadlines and reads some files, without an interpreter.
 *
 * usage: ticker INTERVAL_NS SECONDS PRIORITY [PATH...]; with a PRIORITY above 0 it has that one of SCHED_FIFO. Opens each
 * file once and takes every number out of its text at each tick, a reading of the clock before each. A late tick stands
 * for all deadlines that have passed, as in meter.
 * Prints JSON: the first deadline and the last, CPU time in nanoseconds, ticks missed, and the times of each file's
 * readings; without files those of the ticks.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "numbers.h"

#define SECOND 1000000000

static char text[1 << 12];

static int64_t now(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

int main(int argc, char **argv)
{
	int64_t interval = argc > 3 ? atoll(argv[1]) : 0;
	double seconds = argc > 3 ? atof(argv[2]) : 0;
	struct sched_param priority = { argc > 3 ? atoi(argv[3]) : 0 };
	int count = argc - 4, each = count > 0 ? count : 1;

	if (interval < 1 || seconds <= 0)
		return 2;
	int *files = calloc((size_t)each, sizeof *files);
	int64_t room = (int64_t)(seconds * SECOND) / interval + 2, ticks = 0, missed = 0;
	int64_t *times = calloc((size_t)(room * each), sizeof *times);
	uint64_t sum = 0;

	if (!files || !times)
		return 2;
	for (int64_t i = 0; i < room * each; i++)
		times[i] = -1; /* so that no page is new while it runs */
	for (int i = 0; i < count; i++)
		if ((files[i] = open(argv[i + 4], O_RDONLY | O_CLOEXEC)) < 0) {
			perror(argv[i + 4]);
			return 1;
		}
	if (priority.sched_priority > 0 && sched_setscheduler(0, SCHED_FIFO, &priority)) {
		perror("sched_setscheduler");
		return 1;
	}
	prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
	int64_t spent = now(CLOCK_PROCESS_CPUTIME_ID);
	int64_t first = now(CLOCK_MONOTONIC) + interval, end = first + (int64_t)(seconds * SECOND), deadline = first;
	while (deadline < end && ticks < room) {
		struct timespec until = { deadline / SECOND, deadline % SECOND };
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
			;
		int64_t *row = times + ticks++ * each;
		int64_t woken = row[0] = now(CLOCK_MONOTONIC);
		for (int i = 0; i < count; i++) {
			if (i)
				row[i] = now(CLOCK_MONOTONIC);
			ssize_t got = pread(files[i], text, sizeof text, 0);
			sum += numbers(text, text + (got > 0 ? got : 0));
		}
		int64_t late = (woken - deadline) / interval;
		missed += late;
		deadline += (late + 1) * interval;
	}
	spent = now(CLOCK_PROCESS_CPUTIME_ID) - spent;
	printf("{\"first_ns\": %" PRId64 ", \"end_ns\": %" PRId64 ", \"cpu_ns\": %" PRId64 ", \"missed\": %" PRId64
	       ", \"sum\": %" PRIu64 ", \"times\": [",
	       first, end, spent, missed, sum);
	for (int i = 0; i < each; i++) {
		printf(i ? ", [" : "[");
		for (int64_t tick = 0; tick < ticks; tick++)
			printf(tick ? ",%" PRId64 : "%" PRId64, times[tick * each + i]);
		printf("]");
	}
	puts("]}");
	return 0;
}
