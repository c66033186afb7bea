/* What the stand-ins ask: whether a call goes through. */
#ifndef PIER_TESTS_FAULT_VERDICT_H
#define PIER_TESTS_FAULT_VERDICT_H

#include "fault.h"

/* Counts a call and says what becomes of it: an errno, or 0 and in *room how many bytes it may move. */
int fault__verdict(fault_call call, size_t *room);

/* For those that move nothing; the thread's last error is set. */
bool fault__fails(fault_call call);

/* The error that is usual for it: the ones that the manuals name for want of something, or of interruption. */
int fault__usual(fault_call call);

/* So many blocks or mappings more. */
void fault__hold(int blocks);

#endif
