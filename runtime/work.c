#include "work.h"
#include "loop.h"
#include <stdlib.h>

#define INTERRUPT_AGAIN_NS (2 * PIER_MILLISECOND)

struct worker {
  struct workers *workers;
  struct thread thread;
  /* Under the lock: */
  struct op *op;               /* what it runs; not to be looked into, for it may have ended already and be another */
  const struct handle *stream; /* whose order it keeps, or null */
  unsigned direction;          /* reads or writes of it: an enum op_code */
};

int workers__open(struct workers *workers, uint32_t workers_max) {
  *workers = (struct workers){.workers_max = workers_max};
  workers->workers = calloc(workers_max, sizeof *workers->workers);
  if (!workers->workers)
    return PIER_ENOMEM;
  mutex__init(&workers->lock);
  condition__init(&workers->work_came);
  return PIER_OK;
}

void workers__close(struct workers *workers) {
  mutex__lock(&workers->lock);
  workers->stopping = true;
  mutex__unlock(&workers->lock);
  condition__broadcast(&workers->work_came);
  for (uint32_t i = 0; i < workers->started; i++)
    thread__join(&workers->workers[i].thread);
  condition__destroy(&workers->work_came);
  mutex__destroy(&workers->lock);
  free(workers->workers);
}

/* ---- On a worker ---- */

static void worker__run(struct op *op) {
  if (op->slot.kind == OP_WORK) {
    op->as.work.status = op->as.work.run(op);
    op__complete(op, 0, 0);
    return;
  }
  struct piece piece = {0, 0};
  port__block(op, &piece);
  op__complete(op, piece.code, piece.bytes);
}

/* The stream whose order an operation has to keep, or null. */
static const struct handle *work__stream(const struct op *op) {
  return op->handle && op->slot.kind != OP_WORK && op->handle->slot.flags & HANDLE_ORDERED ? op->handle : NULL;
}

/* Whether a worker is at an operation of the same stream in the same direction: that one comes first. */
static bool workers__serve_already(const struct workers *workers, const struct op *op) {
  const struct handle *stream = work__stream(op);
  if (!stream)
    return false;
  for (uint32_t i = 0; i < workers->started; i++) {
    const struct worker *worker = &workers->workers[i];
    if (worker->stream == stream && worker->direction == op->slot.kind)
      return true;
  }
  return false;
}

/* Under the lock: the first in line that may be served now. What is passed over is found by the worker that it waits for. */
static struct ready *workers__take(struct workers *workers) {
  struct ready *before = NULL;
  for (struct ready *ready = workers->line.first; ready; before = ready, ready = ready->next) {
    if (workers__serve_already(workers, op__of_ready(ready)))
      continue;
    if (before)
      before->next = ready->next;
    else
      workers->line.first = ready->next;
    if (workers->line.last == ready)
      workers->line.last = before;
    return ready;
  }
  return NULL;
}

/* Under the lock: one that is called then waits for it, and does not take the processor from a thread that has more to submit. One
   sleeper at a time is called, and calls the next one when it has taken something and there is more. So a row of submits costs one
   call, and all workers get to work all the same. */
static void workers__call(struct workers *workers) {
  if (workers->queued == 0 || workers->idle == 0 || workers->called)
    return;
  workers->called = true;
  condition__signal(&workers->work_came);
}

/* Waits for the next piece of work; null when the loop closes. */
static struct op *worker__next(struct worker *worker) {
  struct workers *workers = worker->workers;
  struct ready *ready = NULL;
  mutex__lock(&workers->lock);
  worker->op = NULL;
  worker->stream = NULL;
  while (!(ready = workers__take(workers)) && !workers->stopping) {
    workers->idle++;
    condition__wait(&workers->work_came, &workers->lock);
    workers->idle--;
    workers->called = false;
  }
  if (ready) {
    workers->queued--;
    worker->op = op__of_ready(ready);
    worker->op->slot.flags = WORK_RUNNING;
    worker->stream = work__stream(worker->op);
    worker->direction = worker->op->slot.kind;
    workers__call(workers);
  }
  mutex__unlock(&workers->lock);
  return worker->op;
}

static void worker__main(void *argument) {
  struct worker *worker = argument;
  struct op *op;
  while ((op = worker__next(worker)))
    worker__run(op);
}

/* ---- On any thread ---- */

/* Under the lock. One thread more, if all have something to do; if it cannot be had, those that are there will get to it. */
static bool workers__grow(struct workers *workers) {
  if (workers->idle >= workers->queued || workers->started == workers->workers_max)
    return workers->started > 0;
  struct worker *worker = &workers->workers[workers->started];
  worker->workers = workers;
  if (thread__start(&worker->thread, worker__main, worker) == PIER_OK)
    workers->started++;
  return workers->started > 0;
}

void workers__submit(struct poller *poller, struct op *op) {
  struct workers *workers = loop__workers(poller->loop);
  mutex__lock(&workers->lock);
  /* Who cancels marks the operation and then takes the lock: one of both sees the other. */
  bool must_run = op__is(op, OP_AWAITED); /* the kernel has it, so it cannot be given up here */
  bool runs = must_run || op__asked_to_end(op) == PIER_OK;
  if (runs) {
    op->slot.flags = WORK_QUEUED;
    ready_list__append(&workers->line, &op->ready);
    workers->queued++;
    runs = workers__grow(workers);
    if (!runs) {
      ready_list__take(&workers->line); /* it is alone there: without a worker nothing ever stays in line */
      workers->queued--;
      op->slot.flags = WORK_RUNNING;
    }
    workers__call(workers);
  } else {
    op->slot.flags = WORK_RUNNING;
  }
  mutex__unlock(&workers->lock);
  if (runs)
    return;
  if (must_run)
    worker__run(op); /* no worker can be had: this thread has to wait itself */
  else
    op__complete(op, op__asked_to_end(op) ? port__cancelled() : port__no_memory(), 0);
}

/* Under the lock: out of the middle of the line. */
static void workers__unlink(struct workers *workers, struct ready *wanted) {
  struct ready_list kept = {NULL, NULL};
  struct ready *ready;
  while ((ready = ready_list__take(&workers->line)))
    if (ready != wanted)
      ready_list__append(&kept, ready);
  workers->line = kept;
  workers->queued--;
}

/* Under the lock: the worker that runs an operation, if there is one. */
static struct worker *workers__of(struct workers *workers, const struct op *op) {
  for (uint32_t i = 0; i < workers->started; i++)
    if (workers->workers[i].op == op)
      return &workers->workers[i];
  return NULL;
}

/* A blocking call can be interrupted once it has begun, and nobody can see whether it has: so it is asked again and again, by the
   loop's timers, until the operation is over. No thread waits or spins for that. */
static void workers__interrupt(struct poller *poller, struct op *op, struct worker *worker) {
  port__interrupt(op, &worker->thread);
  timers__add_deadline(loop__timers(poller->loop), clock__now_ns() + INTERRUPT_AGAIN_NS, op__id(poller, op));
}

int workers__cancel(struct poller *poller, struct op *op) {
  struct workers *workers = loop__workers(poller->loop);
  mutex__lock(&workers->lock);
  enum work_place place = (enum work_place)op->slot.flags;
  if (place == WORK_QUEUED) {
    workers__unlink(workers, &op->ready);
    op->slot.flags = WORK_RUNNING;
  }
  struct worker *worker = place == WORK_RUNNING && op->slot.kind != OP_WORK ? workers__of(workers, op) : NULL;
  if (worker)
    workers__interrupt(poller, op, worker);
  mutex__unlock(&workers->lock);
  if (place == WORK_QUEUED)
    op__complete(op, port__cancelled(), 0);
  bool deaf = op->slot.kind == OP_WORK && !op__is(op, OP_YIELDS);
  return place == WORK_RUNNING && deaf ? PIER_EBUSY : PIER_OK;
}

/* The plan goes into the slot. */
static void work__set(struct op *op, struct poller *poller, const struct work_plan *plan) {
  op->as.work = (struct op_work){.poller = poller, .run = plan->run};
  for (size_t i = 0; i < sizeof plan->argument / sizeof plan->argument[0]; i++)
    op->as.work.argument[i] = plan->argument[i];
  if (plan->yields)
    op__mark(op, OP_YIELDS);
}

pier_operation work__start(struct pier_loop *loop, const struct work_plan *plan, uint64_t deadline_ns, pier_callback callback, void *context) {
  struct poller *poller = loop__poller(loop);
  struct op *op = op__acquire(poller, OP_WORK, callback, context);
  if (!op)
    return 0;
  work__set(op, poller, plan);
  op__bind(op, NULL);
  return loop__launch(loop, op, deadline_ns);
}

pier_operation work__start_on(pier_handle handle, pier_kind kind, const struct work_plan *plan, uint64_t deadline_ns, pier_callback callback,
                              void *context) {
  pier_operation operation;
  struct op *op = loop__begin(handle, OP_WORK, callback, context, &operation);
  if (!op)
    return operation;
  if (!handle__may_be(op->handle, kind))
    return loop__refuse(op, PIER_EBADF);
  struct poller *poller = op->handle->poller;
  work__set(op, poller, plan);
  return loop__launch(poller->loop, op, deadline_ns);
}

static int work__call(struct op *op) {
  pier_work_function function = (pier_work_function)op->as.work.argument[0];
  return function(op->context);
}

pier_operation pier_work(pier_loop *loop, pier_work_function function, uint64_t deadline_ns, pier_callback callback, void *context) {
  if (!loop || !function)
    return 0;
  struct work_plan plan = {.run = work__call, .argument = {(uintptr_t)function}};
  return work__start(loop, &plan, deadline_ns, callback, context);
}
