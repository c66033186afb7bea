/* Instead of libFuzzer, where there is no clang: runs a target over the files in the folders that are named. So every input that was
 * ever worth keeping is a test in each build, the ones with sanitizers included. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>

#define INPUT_BYTES_MAX 65536

static bool replay_file(const char *folder, const char *name) {
  static uint8_t bytes[INPUT_BYTES_MAX];
  char path[4096];

  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (!file)
    return false;
  size_t length = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  /* On the heap, so that a read behind its end is found. */
  uint8_t *input = malloc(length ? length : 1);
  if (!input)
    return false;
  memcpy(input, bytes, length);
  LLVMFuzzerTestOneInput(input, length);
  free(input);
  return true;
}

int main(int argc, char **argv) {
  struct rlimit limit;
  unsigned count = 0;

  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  for (int i = 1; i < argc; i++) {
    DIR *folder = opendir(argv[i]);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)))
      if (entry->d_name[0] != '.')
        count += replay_file(argv[i], entry->d_name);
    if (folder)
      closedir(folder);
  }
  printf("%s - %u inputs do no harm\n", count ? "ok" : "not ok", count);
  return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
