/* Asks the library of the driver of NVIDIA GPUs for what the source `nvml` asks at each poll, of every GPU.
 * usage: gpus LIBRARY ROUNDS -> the best time of a round in ns. Linked to nothing: the library is loaded. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int (*call)();
typedef struct { unsigned id, scope; int64_t ts, latency; unsigned type; int code; uint64_t v; } field;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory2;
typedef struct { unsigned version, sensor; int t; } temperature1;
typedef struct { unsigned pid; unsigned long long used; unsigned gi, ci; } process3;

static void *library;
static uint64_t sum; /* of all numbers, so that none is left out */

static call find(const char *name)
{
    call found = (call)(uintptr_t)dlsym(library, name);
    if (!found) { fprintf(stderr, "no %s\n", name); exit(1); }
    return found;
}

static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ull + t.tv_nsec; }

int main(int count, char **words)
{
    if (count != 3) return 2;
    if (!(library = dlopen(words[1], RTLD_NOW))) { fprintf(stderr, "%s\n", dlerror()); return 1; }
    call init = find("nvmlInit_v2"), number = find("nvmlDeviceGetCount_v2"), get = find("nvmlDeviceGetHandleByIndex_v2");
    call fields = find("nvmlDeviceGetFieldValues"), rates = find("nvmlDeviceGetUtilizationRates");
    call encoder = find("nvmlDeviceGetEncoderUtilization"), decoder = find("nvmlDeviceGetDecoderUtilization");
    call memory = find("nvmlDeviceGetMemoryInfo_v2"), heat = find("nvmlDeviceGetTemperatureV");
    call clock = find("nvmlDeviceGetClockInfo"), energy = find("nvmlDeviceGetTotalEnergyConsumption");
    call compute = find("nvmlDeviceGetComputeRunningProcesses_v3");
    call graphics = find("nvmlDeviceGetGraphicsRunningProcesses_v3");
    unsigned gpus = 0;
    void *handles[16];
    if (init() || number(&gpus) || gpus > 16) return 1;
    for (unsigned g = 0; g < gpus; g++) if (get(g, &handles[g])) return 1;
    uint64_t best = UINT64_MAX;
    for (int round = atoi(words[2]); round > 0; round--) {
        uint64_t begin = now();
        for (unsigned g = 0; g < gpus; g++) {
            void *h = handles[g];
            field asked[3] = { { .id = 186 }, { .id = 185 }, { .id = 82 } };
            unsigned u[2] = { 0, 0 }, period, n;
            unsigned long long mj = 0;
            memory2 m = { .version = sizeof m | 2u << 24 };
            temperature1 t = { .version = sizeof t | 1u << 24 };
            process3 found[32];
            fields(h, 3, asked); sum += asked[0].v + asked[1].v + asked[2].v;
            rates(h, u); sum += u[0] + u[1];
            encoder(h, u, &period); sum += u[0];
            decoder(h, u, &period); sum += u[0];
            memory(h, &m); sum += m.used + m.reserved + m.total;
            heat(h, &t); sum += (unsigned)t.t;
            for (unsigned kind = 0; kind < 4; kind++) { clock(h, kind, u); sum += u[0]; }
            energy(h, &mj); sum += mj;
            n = 32; compute(h, &n, found); for (unsigned i = 0; i < n; i++) sum += found[i].used;
            n = 32; graphics(h, &n, found); for (unsigned i = 0; i < n; i++) sum += found[i].used;
        }
        uint64_t took = now() - begin;
        if (took < best) best = took;
    }
    printf("%llu %llu\n", (unsigned long long)best, (unsigned long long)sum);
    return 0;
}
