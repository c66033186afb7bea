/* Linux: bytes that come with a descriptor, over a local socket. One read cannot bring what is on both sides of such a place. */
#ifndef PIER_TESTS_DESCRIPTORS_H
#define PIER_TESTS_DESCRIPTORS_H

#include "support.h"

/* All of them, or the case fails. */
void descriptors__send(pier_native to, const void *bytes, size_t length);

#endif
