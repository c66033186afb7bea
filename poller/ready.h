/* Ready: something whose callback is due. A link inside an operation, a handle that closes, a timer, or the posts, so that
   nothing is allocated on the way from the port to the callback. */
#ifndef PIER_READY_H
#define PIER_READY_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

enum ready_kind { READY_OPERATION = 1, READY_CLOSE, READY_TIMER, READY_POSTS };

struct ready {
  struct ready *next;
  uint32_t kind;
  uint32_t code; /* its owner's to use */
};

/* First in, first out; one thread at a time. */
struct ready_list {
  struct ready *first;
  struct ready *last;
};

static inline void ready_list__append(struct ready_list *list, struct ready *ready) {
  ready->next = NULL;
  if (list->last)
    list->last->next = ready;
  else
    list->first = ready;
  list->last = ready;
}

static inline struct ready *ready_list__take(struct ready_list *list) {
  struct ready *ready = list->first;
  if (ready) {
    list->first = ready->next;
    if (!list->first)
      list->last = NULL;
  }
  return ready;
}

/* Takes one out of wherever it is in the list; false if it is not there. */
static inline bool ready_list__remove(struct ready_list *list, struct ready *wanted) {
  struct ready *before = NULL, *ready = list->first;
  for (; ready && ready != wanted; ready = ready->next)
    before = ready;
  if (!ready)
    return false;
  if (before)
    before->next = ready->next;
  else
    list->first = ready->next;
  if (list->last == ready)
    list->last = before;
  return true;
}

/* Moves all of `from` behind `to`. */
static inline void ready_list__move(struct ready_list *to, struct ready_list *from) {
  if (!from->first)
    return;
  if (to->last)
    to->last->next = from->first;
  else
    to->first = from->first;
  to->last = from->last;
  from->first = from->last = NULL;
}

#endif
