/* Reads a program's options. Nothing here is about Pier; it is apart so that the examples are about nothing else. */
#ifndef EXAMPLES_OPTIONS_H
#define EXAMPLES_OPTIONS_H

#include <stdbool.h>

/* One option. Which of the three pointers is set says what it is: a number, a text or a switch. */
struct options_entry {
  const char *name;    /* "--port"; null ends the table */
  const char *help;    /* one line */
  unsigned *number;    /* filled with the value ... */
  unsigned number_max; /* ... which is at most this */
  const char **text;   /* filled with a pointer into argv */
  bool *given;         /* set to true */
};

/* Fills in what was given and leaves the rest as it is. Options come first, then `operands` further arguments,
 * which `usage` names; returns the index of the first of them. Prints help for --help and a sentence for anything
 * wrong, and ends the program then. */
int options_read(int argc, char **argv, const struct options_entry *entries, const char *usage, int operands);

#endif
