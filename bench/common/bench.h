/* What every benchmark program shares: its options, its clock, and the one line of JSON that it ends with.
 *
 * A program is one side (floor, libuv, pier or client) and holds a table of workloads. bench_main.c reads the options, runs the
 * workload that was asked for and prints the result. The harness compares the results of the sides, so a workload fills in what
 * it really did (operations, bytes, checksum) and never what it was asked to do.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_EXTRAS_MAX 24

struct bench_options {
  const char *workload;
  const char *form;             /* which of several ways of doing the same work */
  const char *path;             /* file or pipe name */
  uint64_t operations;
  uint64_t warmup;
  uint64_t seed;
  uint64_t duration_ms;
  uint64_t port;
  uint64_t connections;
  uint64_t depth;
  uint64_t threads;
  uint64_t receives;            /* in flight at once, where a side can have several */
  uint64_t repeats;             /* times the work is done between begin and end */
  uint64_t files;               /* how many small files there are: path, and after it their number */
  uint64_t block_bytes;
  uint64_t gate;                /* 1: stop before and after the measured part until the harness has read its counters */
};

struct bench_extra {
  const char *name;
  double value;
};

/* Cumulative counts of this process, as the system keeps them. */
struct bench_usage {
  uint64_t clock_ns;
  uint64_t cpu_user_ns;
  uint64_t cpu_system_ns;
  uint64_t allocations;
};

struct bench_result {
  const struct bench_options *options;
  uint64_t operations;
  uint64_t bytes;
  uint64_t checksum;
  uint64_t latency_p50_ns;
  uint64_t latency_p99_ns;
  struct bench_usage begin;
  struct bench_usage end;
  uint64_t memory_count;
  uint64_t memory_before_bytes;
  struct bench_extra extras[BENCH_EXTRAS_MAX];
  size_t extras_count;
};

struct bench_workload {
  const char *name;
  int (*run)(const struct bench_options *options, struct bench_result *result);
};

/* Given by each side's main file. The table ends with a NULL name. */
extern const char *const bench_side;
extern const struct bench_workload bench_workloads[];

/* Brackets the measured part of a workload; everything outside (set-up, warm-up) is not counted. With --gate 1 each of the two prints its name and
 * waits for a line, so that the harness can read counters of this process that only it can see (under Wine: the requests to the server). */
void bench_begin(struct bench_result *result);
void bench_end(struct bench_result *result);

/* Adds a figure of the workload's own to the JSON line. The name must live as long as the program. */
void bench_extra(struct bench_result *result, const char *name, double value);

/* The receives that brought something, per operation, once the operations are known: how full the buffers came. */
void bench_receives(struct bench_result *result, uint64_t receives);

/* Tells the harness that a server is listening: "ready <port>" on a line of its own. */
void bench_ready(unsigned port);

/* Ends the program with a sentence and the number that goes with it when ok is false. A benchmark that cannot do its work has no result. */
void bench_check(bool ok, const char *what, long long code);

/* Zeroed memory; ends the program when there is none. */
void *bench_allocate(size_t count, size_t size);
void bench_release(void *memory);

/* How often this process has asked for memory so far, whoever asked: malloc, calloc, realloc (allocations.c). The other counts one that went another way. */
uint64_t bench_allocations(void);
void bench_allocation_count(void);

/* The same sequence on every side for the same seed (splitmix64). */
uint64_t bench_random(uint64_t *state);

/* Given by system_windows.c or system_posix.c. */
typedef void (*bench_thread_function)(void *argument);

uint64_t bench_clock_ns(void);
void bench_usage_read(struct bench_usage *usage);
void *bench_thread_start(bench_thread_function function, void *argument);
void bench_thread_join(void *thread);

/* Memory that this process has for itself alone, in bytes. */
uint64_t bench_memory_bytes(void);

/* From here to bench_end(), what each of `count` things takes of it: the figure "memory_each". */
void bench_memory_begin(struct bench_result *result, uint64_t count);

/* The system's handle of a file opened for plain blocking reads. */
uintptr_t bench_file_open(const char *path);
size_t bench_file_read(uintptr_t file, void *buffer, size_t length);
void bench_file_close(uintptr_t file);

#endif
