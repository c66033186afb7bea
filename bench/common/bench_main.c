#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option {
  const char *name;
  const char **text;
  uint64_t *number;
};

static void options_read(int argc, char **argv, struct bench_options *to) {
  const struct option table[] = {
      {"--workload", &to->workload, NULL},
      {"--form", &to->form, NULL},
      {"--path", &to->path, NULL},
      {"--operations", NULL, &to->operations},
      {"--warmup", NULL, &to->warmup},
      {"--seed", NULL, &to->seed},
      {"--milliseconds", NULL, &to->duration_ms},
      {"--port", NULL, &to->port},
      {"--connections", NULL, &to->connections},
      {"--depth", NULL, &to->depth},
      {"--threads", NULL, &to->threads},
      {"--repeats", NULL, &to->repeats},
      {"--receives", NULL, &to->receives},
      {"--files", NULL, &to->files},
      {"--block", NULL, &to->block_bytes},
      {"--gate", NULL, &to->gate},
  };
  for (int i = 1; i < argc; i += 2) {
    const struct option *found = NULL;
    for (size_t n = 0; n < sizeof table / sizeof table[0]; n++) {
      if (strcmp(argv[i], table[n].name) == 0) {
        found = &table[n];
      }
    }
    if (found == NULL || i + 1 == argc) {
      fprintf(stderr, "%s: not an option, or without its value: %s\n", bench_side, argv[i]);
      exit(2);
    }
    if (found->text != NULL) {
      *found->text = argv[i + 1];
    } else {
      char *end = NULL;
      *found->number = strtoull(argv[i + 1], &end, 10);
      bench_check(end != argv[i + 1] && *end == '\0', argv[i], -1);
    }
  }
}

static void result_print(const struct bench_result *result) {
  const struct bench_usage *begin = &result->begin;
  const struct bench_usage *end = &result->end;
  printf("{\"side\":\"%s\",\"workload\":\"%s\",\"form\":\"%s\",\"operations\":%" PRIu64 ",\"bytes\":%" PRIu64
         ",\"checksum\":\"%016" PRIx64 "\",\"seconds\":%.9f,\"cpu_user\":%.6f,\"cpu_system\":%.6f,\"allocations\":%" PRIu64,
         bench_side, result->options->workload, result->options->form, result->operations, result->bytes,
         result->checksum, (double)(end->clock_ns - begin->clock_ns) / 1e9,
         (double)(end->cpu_user_ns - begin->cpu_user_ns) / 1e9,
         (double)(end->cpu_system_ns - begin->cpu_system_ns) / 1e9, end->allocations - begin->allocations);
  if (result->latency_p99_ns != 0) {
    printf(",\"p50_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64, result->latency_p50_ns, result->latency_p99_ns);
  }
  for (size_t i = 0; i < result->extras_count; i++) {
    printf(",\"%s\":%.6g", result->extras[i].name, result->extras[i].value);
  }
  printf("}\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  struct bench_options options = {
      .form = "",
      .operations = 100000,
      .seed = 1,
      .duration_ms = 1000,
      .connections = 1,
      .depth = 1,
      .threads = 1,
      .repeats = 1,
      .block_bytes = 64,
  };
  struct bench_result result = {.options = &options};

  options_read(argc, argv, &options);
  for (const struct bench_workload *workload = bench_workloads; workload->name != NULL; workload++) {
    if (options.workload != NULL && strcmp(options.workload, workload->name) == 0) {
      int error = workload->run(&options, &result);
      bench_check(error == 0, workload->name, error);
      result_print(&result);
      return 0;
    }
  }
  fprintf(stderr, "%s: --workload must be one of:", bench_side);
  for (const struct bench_workload *workload = bench_workloads; workload->name != NULL; workload++) {
    fprintf(stderr, " %s", workload->name);
  }
  fprintf(stderr, "\n");
  return 2;
}
