#include "held.h"

#include "support.h"
#include "system.h"

#define SLABS_MAX 64

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void __real_free(void *block);
void *__real_memory__reserve(size_t bytes);
bool __real_memory__commit(void *address, size_t bytes);
void __real_memory__release(void *address, size_t bytes);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void __wrap_free(void *block);
void *__wrap_memory__reserve(size_t bytes);
bool __wrap_memory__commit(void *address, size_t bytes);
void __wrap_memory__release(void *address, size_t bytes);

static atomic_size_t held__heap;
static atomic_size_t held__calls;

static struct {
  struct mutex lock;
  char *base[SLABS_MAX];
  size_t committed_bytes[SLABS_MAX];
  size_t reserved_bytes[SLABS_MAX];
} held__slabs;

size_t held__heap_bytes(void) { return atomic_load(&held__heap); }

size_t held__allocations(void) { return atomic_load(&held__calls); }

size_t held__slab_bytes(void) {
  size_t bytes = 0;

  mutex__lock(&held__slabs.lock);
  for (size_t i = 0; i < SLABS_MAX; i++) {
    bytes += held__slabs.committed_bytes[i];
  }
  mutex__unlock(&held__slabs.lock);
  return bytes;
}

/* ---- The heap ---- */

static void *held__taken(void *block) {
  atomic_fetch_add(&held__heap, support__block_bytes_os(block));
  atomic_fetch_add(&held__calls, 1);
  return block;
}

void *__wrap_malloc(size_t bytes) { return held__taken(__real_malloc(bytes)); }

void *__wrap_calloc(size_t count, size_t bytes) { return held__taken(__real_calloc(count, bytes)); }

void *__wrap_realloc(void *block, size_t bytes) {
  size_t before_bytes = support__block_bytes_os(block);
  void *moved = __real_realloc(block, bytes);

  if (moved != NULL || bytes == 0) {
    atomic_fetch_sub(&held__heap, before_bytes);
  }
  return held__taken(moved);
}

void __wrap_free(void *block) {
  atomic_fetch_sub(&held__heap, support__block_bytes_os(block));
  __real_free(block);
}

/* ---- The slabs ---- */

/* Under the lock: the one that an address lies in; null asks for a free entry. */
static size_t held__find(const char *address) {
  for (size_t i = 0; i < SLABS_MAX; i++) {
    const char *base = held__slabs.base[i];
    if (address == NULL ? base == NULL : base != NULL && address >= base && address < base + held__slabs.reserved_bytes[i]) {
      return i;
    }
  }
  system__die("a slab is known, and there are not too many", __FILE__, __LINE__);
}

void *__wrap_memory__reserve(size_t bytes) {
  void *base = __real_memory__reserve(bytes);

  if (base != NULL) {
    mutex__lock(&held__slabs.lock);
    size_t at = held__find(NULL);
    held__slabs.base[at] = base;
    held__slabs.reserved_bytes[at] = bytes;
    held__slabs.committed_bytes[at] = 0;
    mutex__unlock(&held__slabs.lock);
  }
  return base;
}

bool __wrap_memory__commit(void *address, size_t bytes) {
  bool done = __real_memory__commit(address, bytes);

  atomic_fetch_add(&held__calls, 1);
  if (done) {
    mutex__lock(&held__slabs.lock);
    held__slabs.committed_bytes[held__find(address)] += bytes;
    mutex__unlock(&held__slabs.lock);
  }
  return done;
}

void __wrap_memory__release(void *address, size_t bytes) {
  if (address != NULL) {
    mutex__lock(&held__slabs.lock);
    size_t at = held__find(address);
    held__slabs.base[at] = NULL;
    held__slabs.committed_bytes[at] = 0;
    mutex__unlock(&held__slabs.lock);
  }
  __real_memory__release(address, bytes);
}
