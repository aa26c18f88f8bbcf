/* Control of `readings`: what one reading of some kernel files costs without an interpreter.
 *
 * usage: reader ROUNDS PATH...; opens each file once, reads it with pread and takes every number out of its text.
 * Prints the nanoseconds of the best round.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "numbers.h"

static char text[1 << 20];

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? atol(argv[1]) : 0;
	int count = argc - 2;
	int *files = calloc((size_t)(count > 0 ? count : 1), sizeof *files);
	uint64_t best = UINT64_MAX, sum = 0;

	if (rounds < 1 || !files)
		return 2;
	for (int i = 0; i < count; i++)
		if ((files[i] = open(argv[i + 2], O_RDONLY | O_CLOEXEC)) < 0) {
			perror(argv[i + 2]);
			return 1;
		}
	for (long round = 0; round < rounds; round++) {
		uint64_t begin = now();
		for (int i = 0; i < count; i++) {
			ssize_t size = 0, got;
			while ((got = pread(files[i], text + size, sizeof text - (size_t)size, size)) > 0)
				size += got;
			sum += numbers(text, text + size);
		}
		uint64_t took = now() - begin;
		if (took < best)
			best = took;
	}
	printf("%llu %llu\n", (unsigned long long)best, (unsigned long long)sum);
	return 0;
}
