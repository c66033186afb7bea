/* A pointer of each thread's own; null until the thread sets it.

   Where the compiler's thread-local variables are the system's, it is one of those. On Windows it is a slot of the thread's block:
   mingw emulates thread-local variables, with a block of the heap for each thread at its first look and a search at every other. */
#ifndef PIER_OWN_H
#define PIER_OWN_H

#include <stdbool.h>

/* Before anybody sets it; more than once is as well. False: the system has no slot left. */
bool own__open(void);

#ifdef _WIN32
void *own__get(void); /* resets the system's last error */
void own__set(void *pointer);
#else
extern _Thread_local void *own__pointer;
static inline void *own__get(void) { return own__pointer; }
static inline void own__set(void *pointer) { own__pointer = pointer; }
#endif

#endif
