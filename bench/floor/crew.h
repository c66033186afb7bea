/* Four threads that do what may block, and one that waits for what they have done: a list each way, a lock around both, and a wake only for the
 * first of what waits. */
#ifndef BENCH_FLOOR_CREW_H
#define BENCH_FLOOR_CREW_H

struct floor_crew;

struct floor_job {
  struct floor_job *next;
  void (*work)(struct floor_job *job);     /* on one of the threads */
  void (*finished)(struct floor_job *job); /* in floor_crew_run */
};

struct floor_crew *floor_crew_open(void);
void floor_crew_close(struct floor_crew *crew);

/* By the thread that opened it. */
void floor_crew_start(struct floor_crew *crew, struct floor_job *job);

/* Until nothing is in flight. */
void floor_crew_run(struct floor_crew *crew);

#endif
