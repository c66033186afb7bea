/* Hooks: places where a test may hold a thread, to force the interleaving that is unlucky.
   Built only with the option `hooks`; otherwise they are nothing. */
#ifndef PIER_HOOK_H
#define PIER_HOOK_H

#ifdef PIER_HOOKS
#include "pier_export.h"
#include <stdbool.h>
#include <stdint.h>

struct handle;
struct op;
struct poller;
struct posts;
struct timers;

/* What a test sets; null: nothing happens. */
struct hooks {
  void (*started)(struct op *op);       /* the system call went pending, the submitting thread has not let go yet */
  void (*before_launch)(struct op *op); /* the deadline is armed, the system call is still to be made */
  void (*cancelling)(struct op *op);    /* a canceller holds the operation, the system has not been asked yet */
  void (*moving)(struct handle *handle); /* a handle is marked as being moved, the system has not been asked yet */
  bool (*control)(uint32_t code, bool on); /* a socket of ours is to be switched; true: the system is to refuse it */
  void (*post_coming)(struct posts *posts);  /* a thread that posts has looked for a segment, and has no place in it yet */
  void (*post_claimed)(struct posts *posts); /* it has a place, and nobody can see the post there yet */
  void (*set_admitting)(struct poller *poller); /* a reader may go into the set, and is not counted yet */
  void (*set_admitted)(struct poller *poller);  /* it is counted, and its thread has still to look what there is */
  void (*timer_taken)(struct timers *timers); /* a thread has a timer to run, and has not looked yet whether it still is to */
};
extern PIER_API struct hooks pier_hooks;

/* Four that are apart from the others, and atomic: threads of a pool come by there while a test sets those. Nothing can come off its port,
   and a thread is about to say that it sleeps. One with a seat has waited for a ring, and what others hand over there now it will not see before it
   looks again. One that tends a ring is about to put something in line there. And: a stream is to be noted (trust.h); true: there is no room. */
extern PIER_API void (*_Atomic pier_hook_dozing)(struct poller *poller);
extern PIER_API void (*_Atomic pier_hook_rising)(struct poller *poller);
extern PIER_API void (*_Atomic pier_hook_pushing)(struct poller *poller);
extern PIER_API bool (*_Atomic pier_hook_noting)(struct handle *handle);

/* So many processors there are for the loops that are opened next; 0: as many as the system says. */
extern PIER_API _Atomic uint32_t pier_hook_processors;

static inline void hook__call(void (*hook)(struct poller *poller), struct poller *poller) {
  if (hook)
    hook(poller);
}

static inline bool hook__refuses_noting(struct handle *handle) {
  bool (*noting)(struct handle *) = pier_hook_noting;
  return noting && noting(handle);
}

#define HOOK(name, argument) (pier_hooks.name ? pier_hooks.name(argument) : (void)0)
#define HOOK_DOZING(poller) hook__call(pier_hook_dozing, poller)
#define HOOK_RISING(poller) hook__call(pier_hook_rising, poller)
#define HOOK_PUSHING(poller) hook__call(pier_hook_pushing, poller)
#define HOOK_REFUSES_NOTING(handle) hook__refuses_noting(handle)
#define HOOK_PROCESSORS(count) (pier_hook_processors ? pier_hook_processors : (count))
#define HOOK_REFUSES(name, ...) (pier_hooks.name && pier_hooks.name(__VA_ARGS__))
#else
#define HOOK(name, argument) ((void)0)
#define HOOK_DOZING(poller) ((void)0)
#define HOOK_RISING(poller) ((void)0)
#define HOOK_PUSHING(poller) ((void)0)
#define HOOK_REFUSES_NOTING(handle) false
#define HOOK_PROCESSORS(count) (count)
#define HOOK_REFUSES(name, ...) false
#endif

#endif
