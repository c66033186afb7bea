#include "own.h"
#include "system.h"
#include <windows.h>

/* Kept for as long as the library is loaded. Until there is one, everybody's pointer is null. */
static DWORD own_slot = TLS_OUT_OF_INDEXES;
static INIT_ONCE own_once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK own__start(INIT_ONCE *once, void *parameter, void **context) {
  (void)once;
  (void)parameter;
  (void)context;
  own_slot = TlsAlloc();
  return own_slot != TLS_OUT_OF_INDEXES; /* otherwise the next one tries again */
}

bool own__open(void) { return InitOnceExecuteOnce(&own_once, own__start, NULL, NULL); }
void *own__get(void) { return TlsGetValue(own_slot); }

/* Fails only past the first 64 slots of the process, for want of memory for a thread's further ones. */
void own__set(void *pointer) { CHECK(TlsSetValue(own_slot, pointer)); }
