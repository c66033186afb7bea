#include "io_request.h"
#include "loop.h"

static bool register__options_fit(const pier_register_options *options) {
  return options->association >= PIER_ASSOCIATE_LAZY && options->association <= PIER_ASSOCIATE_NEVER && options->kind >= PIER_KIND_UNKNOWN &&
         options->kind <= PIER_KIND_CONSOLE && options->kind != PIER_KIND_PIPE_LISTENER && options->mode >= PIER_MODE_UNKNOWN && options->mode <= PIER_MODE_BLOCKING;
}

int pier_register(pier_loop *loop, pier_native native, const pier_register_options *options, pier_handle *id) {
  static const pier_register_options usual = {0};
  if (!options)
    options = &usual;
  if (id)
    *id = 0;
  if (!loop || !id || native == PIER_NATIVE_NONE || !register__options_fit(options))
    return PIER_EINVAL;
  struct handle *handle = handle__acquire(loop__poller(loop), options->kind, native);
  if (!handle)
    return PIER_ENOMEM;
  /* On failure the handle stays the user's; so it is borrowed until the end of this. */
  handle->slot.flags = HANDLE_BORROWED;
  handle->on_foreign = options->on_foreign;
  handle->foreign_context = options->foreign_context;
  int status = port__examine(handle, options, io__admit);
  if (status != PIER_OK) {
    handle__discard(handle);
    return status;
  }
  if (options->association == PIER_ASSOCIATE_NOW && handle__standing(handle) == PIER_STATE_FRESH)
    handle__associate(handle);
  if (!options->keep_open)
    handle->slot.flags = (uint8_t)(handle->slot.flags & ~HANDLE_BORROWED);
  *id = handle__open(handle);
  return PIER_OK;
}
