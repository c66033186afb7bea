#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void options__help(const struct options_entry *entries, const char *usage) {
  printf("usage: %s\n\n", usage);
  for (const struct options_entry *entry = entries; entry->name != NULL; entry++) {
    const char *value = entry->number != NULL ? "N" : entry->text != NULL ? "TEXT" : "";
    printf("  %-16s %-5s %s\n", entry->name, value, entry->help);
  }
  printf("  %-16s %-5s %s\n", "--help", "", "this text");
}

static _Noreturn void options__fail(const char *what, const char *argument) {
  fprintf(stderr, "%s: '%s' (try --help)\n", what, argument);
  exit(2);
}

/* strtoul() alone would take "-1", " 7" and "7x". */
static unsigned options__number(const char *text, unsigned most) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);

  if (text[0] < '0' || text[0] > '9' || *end != '\0' || value > most) {
    options__fail("not a number, or out of range", text);
  }
  return (unsigned)value;
}

static const struct options_entry *options__find(const struct options_entry *entries, const char *name) {
  for (const struct options_entry *entry = entries; entry->name != NULL; entry++) {
    if (strcmp(entry->name, name) == 0) {
      return entry;
    }
  }
  return NULL;
}

int options_read(int argc, char **argv, const struct options_entry *entries, const char *usage, int operands) {
  int at = 1;

  for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
    const struct options_entry *entry = options__find(entries, argv[at]);
    if (strcmp(argv[at], "--help") == 0) {
      options__help(entries, usage);
      exit(0);
    }
    if (entry == NULL) {
      options__fail("no such option", argv[at]);
    }
    if (entry->given != NULL) {
      *entry->given = true;
      continue;
    }
    if (at + 1 == argc) {
      options__fail("a value must follow", argv[at]);
    }
    at++;
    if (entry->number != NULL) {
      *entry->number = options__number(argv[at], entry->number_max);
    } else {
      *entry->text = argv[at];
    }
  }
  if (argc - at != operands) {
    options__fail(argc - at < operands ? "something is missing, usage" : "too much, usage", usage);
  }
  return at;
}
