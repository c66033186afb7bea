/* What every test program shares: its cases, loops that must end clean, results that are waited for under a watchdog,
 * memory that outlives a failed test, chance with a seed, threads, names of its own. */
#ifndef PIER_TESTS_SUPPORT_H
#define PIER_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pier.h"
#include <stdatomic.h>

/* One case: a test function, on a loop that the test drives (threads = 0) or on one with poller threads of its own. */
typedef struct support_case {
  const char *name;
  unsigned threads;
} support_case;

#define SUPPORT_THREADS 4
#define SUPPORT_CASE(function, suffix, threads_of_case)                                                                \
  {                                                                                                                    \
#function suffix, function, support__begin, support__end, &(support_case) {                                        \
#function suffix, threads_of_case                                                                                \
    }                                                                                                                  \
  }
#define SUPPORT_TEST(function) SUPPORT_CASE(function, "", 0)
#define SUPPORT_TEST_POOL(function) SUPPORT_CASE(function, "_in_pool_mode", SUPPORT_THREADS)

/* Runs the cases; argv[1] picks one by its name. Crashes and hangs end the program with a message instead of a dialog.
 */
int support__main(int argc, char **argv, const char *program, const struct CMUnitTest *tests, size_t count);
int support__begin(void **state);
int support__end(void **state);

/* The poller threads of the case that runs now. */
unsigned support__threads(void);

/* Ends the case as skipped, with the reason in the report. */
void support__skip(const char *reason);

/* For the case's own thread only. Zeroed memory that is freed when the case has passed and is leaked when it has
 * failed: the kernel, or a callback, may still write to it then. */
void *support__alloc(size_t length_bytes);

/* Bytes allocated from the process's heaps, without those of support__alloc(). */
size_t support__heap_bytes(void);

/* A loop with the threads of the case; with other options. It must be closed with support__close(). */
pier_loop *support__open(void);
pier_loop *support__open_with(const pier_loop_options *options);

/* Closes a loop and fails unless everything that was submitted was called back and no operation or handle is left. */
void support__close(pier_loop *loop);
void support__closed(pier_loop *loop); /* the case has closed it by itself */

/* Goes on until the condition holds, driving the loop unless it has threads of its own (or is null); fails with `what`
 * after a while. */
typedef bool (*support_condition)(void *context);
void support__until(pier_loop *loop, support_condition condition, void *context, const char *what);
void support__until_count(pier_loop *loop, atomic_uint *counter, unsigned target, const char *what);

/* Says that a condition may have become true; for callbacks and threads of tests. Cheap when nobody waits. */
void support__signal(void);

/* Counts and signals. */
void support__count(atomic_uint *counter);

/* What the callback of one operation was given. */
typedef struct support_outcome {
  atomic_uint calls; /* counted after the rest is written */
  pier_result got;
  uint64_t at_ns;
  uintptr_t thread;
} support_outcome;

support_outcome *support__outcome(void);
void support__take(const pier_result *result); /* a pier_callback; its context is a support_outcome */
void support__await(pier_loop *loop, support_outcome *outcome);
bool support__called(const support_outcome *outcome);

void support__assert_status(int actual, int expected, const char *what, const char *file, int line);
void support__await_status(pier_loop *loop, support_outcome *outcome, int expected, const char *what, const char *file,
                           int line);
#define assert_status(actual, expected) support__assert_status(actual, expected, #actual, __FILE__, __LINE__)
#define await_status(loop, outcome, expected)                                                                          \
  support__await_status(loop, outcome, expected, #outcome, __FILE__, __LINE__)

/* Closes a handle and waits for its callback. */
void support__close_handle(pier_loop *loop, pier_handle handle);

pier_metrics support__metrics(pier_loop *loop);

/* Chance. The seed comes from PIER_SEED or the clock, and is printed. */
uint64_t support__seed(void);
uint64_t support__random(uint64_t *state);
uint64_t support__random_below(uint64_t *state, uint64_t limit);

/* The bytes at `offset` of an endless pattern that repeats nowhere soon. */
void support__fill(void *buffer, size_t length, uint64_t offset);
bool support__filled(const void *buffer, size_t length, uint64_t offset);

/* How long a stress test goes on: PIER_STRESS_SECONDS, or `usual`. */
double support__stress_seconds(double usual);

/* How many rounds it makes instead, however long that takes: PIER_STRESS_ROUNDS; 0: it goes by the time. */
unsigned support__stress_rounds(void);

/* A path for a file that is not there; no other process has it, and it is removed when the case ends. */
const char *support__temp_path(void);

/* A file with `length` bytes of the pattern. */
const char *support__temp_file(size_t length);

/* A pipe name that no other process has. */
const char *support__pipe_name(void);

/* What the operating system does for the tests: support_win.c, support_linux.c. */
extern const bool support__windows;
extern unsigned support__patience; /* how much longer than usual everything may take */
typedef struct support_thread support_thread;
typedef struct support_event support_event;

support_thread *support__thread_start(void (*function)(void *context), void *context);
void support__thread_join(support_thread *thread);
uintptr_t support__thread_id(void);
void support__yield(void);

support_event *support__event_open(void); /* stays set once it is set */
void support__event_set(support_event *event);
void support__event_reset(support_event *event);
bool support__event_wait(support_event *event, uint64_t timeout_ns);
void support__event_close(support_event *event);

void support__os_begin(void);
void support__watch(const char *name, uint64_t limit_ns); /* null: nothing is watched any more */
void support__signal_os(void);
bool support__signal_wait_os(uint64_t timeout_ns);
unsigned long support__process_id(void);
void support__remove_file(const char *path);
void support__temp_folder(char *path, size_t length);

/* Wine's own peculiarities excuse a skip, never a failure that Windows would have too. */
bool support__is_wine(void);

/* What the process holds: kernel handles, bytes allocated from its heaps, and memory committed in any way. */
size_t support__handle_count(void);
size_t support__heap_bytes_os(void);
size_t support__heap_cost_os(void *block, size_t length_bytes); /* what one block adds to that */
size_t support__block_bytes_os(void *block);                    /* what the C library says of it; 0 for none */
size_t support__committed_bytes(void);

/* Two connected ends, opened by the system's own calls and known to no loop. The first one, or both, for overlapped
 * I/O. */
void support__native_pipe_pair(bool message, bool overlapped_first, bool overlapped_second, pier_native ends[2]);
void support__native_tcp_pair(pier_native ends[2]);
pier_native support__native_udp(void); /* on 127.0.0.1 */
void support__native_udp_pair(pier_native ends[2]);
void support__native_close_pipe(pier_native native);
void support__native_close_socket(pier_native native);

#endif
