#define _POSIX_C_SOURCE 200809L

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct thread {
  pthread_t id;
  bench_thread_function function;
  void *argument;
};

uint64_t bench_clock_ns(void) {
  struct timespec now;
  int error = clock_gettime(CLOCK_MONOTONIC, &now);
  bench_check(error == 0, "clock_gettime", errno);
  return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static uint64_t timeval_ns(struct timeval time) {
  return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_usec * 1000;
}

void bench_usage_read(struct bench_usage *usage) {
  struct rusage self;
  int error = getrusage(RUSAGE_SELF, &self);

  bench_check(error == 0, "getrusage", errno);
  usage->cpu_user_ns = timeval_ns(self.ru_utime);
  usage->cpu_system_ns = timeval_ns(self.ru_stime);
  usage->clock_ns = bench_clock_ns();
}

static void *thread_main(void *argument) {
  const struct thread *thread = argument;
  thread->function(thread->argument);
  return NULL;
}

void *bench_thread_start(bench_thread_function function, void *argument) {
  struct thread *thread = bench_allocate(1, sizeof *thread);

  thread->function = function;
  thread->argument = argument;
  int error = pthread_create(&thread->id, NULL, thread_main, thread);
  bench_check(error == 0, "pthread_create", error);
  return thread;
}

void bench_thread_join(void *joined) {
  struct thread *thread = joined;

  int error = pthread_join(thread->id, NULL);
  bench_check(error == 0, "pthread_join", error);
  bench_release(thread);
}

/* Only the kernel knows, and it tells by text. */
uint64_t bench_memory_bytes(void) {
  static const char *const names[] = {"RssAnon:", "VmSwap:"};
  char line[256];
  uint64_t total_kib = 0;
  FILE *status = fopen("/proc/self/status", "r");

  bench_check(status != NULL, "/proc/self/status", errno);
  while (fgets(line, sizeof line, status) != NULL) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
      uint64_t kib = 0;
      if (strncmp(line, names[i], strlen(names[i])) == 0 && sscanf(line + strlen(names[i]), "%" SCNu64, &kib) == 1) {
        total_kib += kib;
      }
    }
  }
  fclose(status);
  return total_kib * 1024;
}

uintptr_t bench_file_open(const char *path) {
  int file = open(path, O_RDONLY);
  bench_check(file >= 0, "open", errno);
  return (uintptr_t)file;
}

size_t bench_file_read(uintptr_t file, void *buffer, size_t length) {
  ssize_t bytes = read((int)file, buffer, length);
  bench_check(bytes >= 0, "read", errno);
  return (size_t)bytes;
}

void bench_file_close(uintptr_t file) {
  close((int)file);
}
