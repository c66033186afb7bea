/* Has handles be taken off the loop's port and put on it again, by the system or by what stands in for it. Around the loops of a case. */
#ifndef PIER_TESTS_MOVABLE_H
#define PIER_TESTS_MOVABLE_H

void movable__begin(void);
void movable__end(void);

#endif
