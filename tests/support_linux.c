#include <dirent.h>
#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "support.h"

#if !defined(__has_feature)
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SUPPORT_SANITIZED 2
#elif defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SUPPORT_SANITIZED 1
/* A sanitizer's heap is its own; gcc 12 has the function and not the header that declares it. */
size_t __sanitizer_get_current_allocated_bytes(void);
#else
#define SUPPORT_SANITIZED 0
#endif

const bool support__windows = false;
#ifndef SUPPORT_PATIENCE
#define SUPPORT_PATIENCE (SUPPORT_SANITIZED ? 8 : 1)
#endif
unsigned support__patience = SUPPORT_PATIENCE;

struct support_thread {
  pthread_t native;
  void (*function)(void *context);
  void *context;
};

/* What a Windows event is: a flag, and those who wait for it. */
struct support_event {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool set;
  bool resets; /* by the first who has waited for it */
};

static support_event support__signalled;
static support_event support__watch_changed;
static atomic_ullong support__watch_end_ns;
static _Atomic(const char *) support__watch_name;

static void support__event_init(support_event *event, bool resets) {
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&event->lock, NULL);
  pthread_cond_init(&event->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  event->set = false;
  event->resets = resets;
}

void support__event_set(support_event *event) {
  pthread_mutex_lock(&event->lock);
  event->set = true;
  pthread_cond_broadcast(&event->changed);
  pthread_mutex_unlock(&event->lock);
}

void support__event_reset(support_event *event) {
  pthread_mutex_lock(&event->lock);
  event->set = false;
  pthread_mutex_unlock(&event->lock);
}

bool support__event_wait(support_event *event, uint64_t timeout_ns) {
  uint64_t now_ns = pier_now_ns();
  uint64_t end_ns = timeout_ns < INT64_MAX - now_ns ? now_ns + timeout_ns : INT64_MAX;
  struct timespec end = {.tv_sec = (time_t)(end_ns / PIER_SECOND), .tv_nsec = (long)(end_ns % PIER_SECOND)};
  pthread_mutex_lock(&event->lock);
  int code = 0;
  while (!event->set && code != ETIMEDOUT)
    code = pthread_cond_timedwait(&event->changed, &event->lock, &end);
  bool set = event->set;
  if (event->resets)
    event->set = false;
  pthread_mutex_unlock(&event->lock);
  return set;
}

support_event *support__event_open(void) {
  support_event *event = support__alloc(sizeof *event);
  support__event_init(event, false);
  return event;
}

void support__event_close(support_event *event) {
  pthread_cond_destroy(&event->changed);
  pthread_mutex_destroy(&event->lock);
}

static void *support__watchdog(void *context) {
  (void)context;
  for (;;) {
    /* The name first: the time that goes with it is set before it is. */
    const char *name = atomic_load(&support__watch_name);
    uint64_t end_ns = atomic_load(&support__watch_end_ns);
    uint64_t now_ns = pier_now_ns();
    if (name && now_ns >= end_ns) {
      printf("watchdog: %s did not end in time\n", name);
      if (getenv("PIER_WATCHDOG_ABORTS"))
        abort(); /* for a core, or a debugger */
      _exit(99);
    }
    support__event_wait(&support__watch_changed, name ? end_ns - now_ns : PIER_NO_TIMEOUT);
  }
  return NULL;
}

void support__watch(const char *name, uint64_t limit_ns) {
  atomic_store(&support__watch_name, NULL);
  atomic_store(&support__watch_end_ns, pier_now_ns() + limit_ns);
  atomic_store(&support__watch_name, name);
  support__event_set(&support__watch_changed);
}

/* Tests with thousands of connections need as many descriptors as they may have. */
static void support__allow_descriptors(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

bool support__is_wine(void) {
  return false;
}

void support__os_begin(void) {
  pthread_t thread;
  const char *patience = getenv("PIER_PATIENCE"); /* under valgrind, of which the program itself knows nothing */
  if (patience)
    support__patience = (unsigned)strtoul(patience, NULL, 10);
  support__allow_descriptors();
  support__event_init(&support__signalled, true);
  support__event_init(&support__watch_changed, true);
  if (pthread_create(&thread, NULL, support__watchdog, NULL))
    exit(98);
  pthread_detach(thread);
}

void support__signal_os(void) {
  support__event_set(&support__signalled);
}

bool support__signal_wait_os(uint64_t timeout_ns) {
  return support__event_wait(&support__signalled, timeout_ns);
}

static void *support__thread_main(void *context) {
  support_thread *thread = context;
  thread->function(thread->context);
  return NULL;
}

support_thread *support__thread_start(void (*function)(void *context), void *context) {
  support_thread *thread = support__alloc(sizeof *thread);
  thread->function = function;
  thread->context = context;
  assert_int_equal(pthread_create(&thread->native, NULL, support__thread_main, thread), 0);
  return thread;
}

void support__thread_join(support_thread *thread) {
  pthread_join(thread->native, NULL);
}

uintptr_t support__thread_id(void) {
  return (uintptr_t)pthread_self();
}

void support__yield(void) {
  sched_yield();
}

unsigned long support__process_id(void) {
  return (unsigned long)getpid();
}

void support__remove_file(const char *path) {
  unlink(path);
}

void support__temp_folder(char *path, size_t length) {
  const char *folder = getenv("TMPDIR");
  int used = snprintf(path, length, "%s/", folder && *folder ? folder : "/tmp");
  assert_true(used > 0 && (size_t)used < length);
}

size_t support__handle_count(void) {
  DIR *folder = opendir("/proc/self/fd");
  size_t count = 0;
  assert_non_null(folder);
  while (readdir(folder))
    count++;
  closedir(folder);
  return count - 3; /* ".", "..", and the folder's own */
}

size_t support__heap_bytes_os(void) {
#if SUPPORT_SANITIZED == 2
  return 1; /* its count is behind by what the threads have in hand; leaks are the other one's to find */
#elif SUPPORT_SANITIZED == 1
  return __sanitizer_get_current_allocated_bytes();
#else
  struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

/* With its header, and rounded up; a sanitizer's headers count for nothing. */
size_t support__heap_cost_os(void *block, size_t length_bytes) {
  (void)length_bytes;
  return malloc_usable_size(block) + (SUPPORT_SANITIZED ? 0 : sizeof(size_t));
}

size_t support__block_bytes_os(void *block) {
  return malloc_usable_size(block);
}

/* Private memory that can be written: what was reserved and has nothing behind it does not count. */
size_t support__committed_bytes(void) {
  unsigned long pages[6] = {0};
  if (SUPPORT_SANITIZED)
    return 0; /* it would be the sanitizer's own */
  FILE *file = fopen("/proc/self/statm", "r");
  assert_non_null(file);
  for (int i = 0; i < 6; i++)
    assert_int_equal(fscanf(file, "%lu", &pages[i]), 1);
  fclose(file);
  return pages[5] * (size_t)sysconf(_SC_PAGESIZE);
}

/* "Overlapped" is non-blocking here. */
void support__native_pipe_pair(bool message, bool overlapped_first, bool overlapped_second, pier_native ends[2]) {
  int natives[2];
  const bool overlapped[2] = {overlapped_first, overlapped_second};
  assert_int_equal(socketpair(AF_UNIX, (message ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_CLOEXEC, 0, natives), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(fcntl(natives[i], F_SETFL, overlapped[i] ? O_NONBLOCK : 0), 0);
    ends[i] = (pier_native)natives[i];
  }
}

void support__native_tcp_pair(pier_native ends[2]) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t length = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(listen(listener, 1), 0);
  assert_int_equal(connect(client, (struct sockaddr *)&address, length), 0);
  int server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(server >= 0);
  close(listener);
  ends[0] = (pier_native)server;
  ends[1] = (pier_native)client;
}

pier_native support__native_udp(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(made, (struct sockaddr *)&address, sizeof address), 0);
  return (pier_native)made;
}

void support__native_udp_pair(pier_native ends[2]) {
  struct sockaddr_in addresses[2];
  for (int i = 0; i < 2; i++) {
    socklen_t length = sizeof addresses[i];
    ends[i] = support__native_udp();
    assert_int_equal(getsockname((int)ends[i], (struct sockaddr *)&addresses[i], &length), 0);
  }
  for (int i = 0; i < 2; i++)
    assert_int_equal(connect((int)ends[i], (struct sockaddr *)&addresses[!i], sizeof addresses[i]), 0);
}

void support__native_close_pipe(pier_native native) {
  close((int)native);
}

void support__native_close_socket(pier_native native) {
  close((int)native);
}
