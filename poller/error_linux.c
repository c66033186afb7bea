#include "error.h"

#include <errno.h>

/* Sorted by code, because it is searched by halving. The numbers are those of Linux' generic list, which all of its
 * processors but a few old ones share; so the order below is the order of the numbers. */
static const struct error_mapping error_table[] = {
    {EPERM, PIER_EPERM},
    {ENOENT, PIER_ENOENT},
    {EIO, PIER_EIO},
    {ENXIO, PIER_ENOENT}, /* nobody reads a fifo; no device behind a node */
    {EBADF, PIER_EBADF},
    {EAGAIN, PIER_EAGAIN},
    {ENOMEM, PIER_ENOMEM},
    {EACCES, PIER_EACCES},
    {EFAULT, PIER_EFAULT},
    {EBUSY, PIER_EBUSY},
    {EEXIST, PIER_EEXIST},
    {EXDEV, PIER_EXDEV},
    {ENODEV, PIER_ENOENT},
    {ENOTDIR, PIER_ENOTDIR},
    {EISDIR, PIER_EISDIR},
    {EINVAL, PIER_EINVAL},
    {ENFILE, PIER_EMFILE},
    {EMFILE, PIER_EMFILE},
    {ENOTTY, PIER_ENOTSUP},
    {ETXTBSY, PIER_EBUSY},
    {EFBIG, PIER_EFBIG},
    {ENOSPC, PIER_ENOSPC},
    {ESPIPE, PIER_ESPIPE},
    {EROFS, PIER_EROFS},
    {EPIPE, PIER_EPIPE},
    {EDEADLK, PIER_EDEADLK},
    {ENAMETOOLONG, PIER_ENAMETOOLONG},
    {ENOSYS, PIER_ENOTSUP},
    {ENOTEMPTY, PIER_ENOTEMPTY},
    {ELOOP, PIER_ENOENT},
    {EOVERFLOW, PIER_EFBIG},
    {EILSEQ, PIER_EILSEQ},
    {ENOTSOCK, PIER_EBADF},
    {EDESTADDRREQ, PIER_ENOTCONN},
    {EMSGSIZE, PIER_EMSGSIZE},
    {EPROTOTYPE, PIER_ENOTSUP},
    {ENOPROTOOPT, PIER_ENOTSUP},
    {EPROTONOSUPPORT, PIER_ENOTSUP},
    {ESOCKTNOSUPPORT, PIER_ENOTSUP},
    {EOPNOTSUPP, PIER_ENOTSUP},
    {EPFNOSUPPORT, PIER_EAFNOSUPPORT},
    {EAFNOSUPPORT, PIER_EAFNOSUPPORT},
    {EADDRINUSE, PIER_EADDRINUSE},
    {EADDRNOTAVAIL, PIER_EADDRNOTAVAIL},
    {ENETDOWN, PIER_ENETUNREACH},
    {ENETUNREACH, PIER_ENETUNREACH},
    {ENETRESET, PIER_ECONNRESET},
    {ECONNABORTED, PIER_ECONNABORTED},
    {ECONNRESET, PIER_ECONNRESET},
    {ENOBUFS, PIER_ENOMEM},
    {EISCONN, PIER_EISCONN},
    {ENOTCONN, PIER_ENOTCONN},
    {ESHUTDOWN, PIER_EPIPE},
    {ETIMEDOUT, PIER_ETIMEDOUT},
    {ECONNREFUSED, PIER_ECONNREFUSED},
    {EHOSTDOWN, PIER_EHOSTUNREACH},
    {EHOSTUNREACH, PIER_EHOSTUNREACH},
    {EALREADY, PIER_EBUSY},
    {EINPROGRESS, PIER_EBUSY},
    {EREMOTEIO, PIER_EIO},
    {EDQUOT, PIER_ENOSPC},
    {ECANCELED, PIER_ECANCELED},
};

int pier_error_from_system(uint32_t system_code) {
  size_t low = 0;
  size_t high = sizeof error_table / sizeof error_table[0];

  if (system_code == 0) {
    return PIER_OK;
  }
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (error_table[middle].system_code == system_code) {
      return error_table[middle].status;
    }
    if (error_table[middle].system_code < system_code) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return PIER_EUNKNOWN;
}

const struct error_mapping *error__mappings(size_t *count) {
  *count = sizeof error_table / sizeof error_table[0];
  return error_table;
}
