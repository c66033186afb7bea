/** @file pier.h
 *  All of Pier: a completion-port event loop.
 *
 *  Rules that hold everywhere: every function may be called from any thread unless it says otherwise; a status is 0 or
 *  negative (pier_error.h); an operation has exactly one callback (pier_operation.h); what you pass as buffer, vector, name
 *  or address stays yours and must stay valid until then. */
#ifndef PIER_H
#define PIER_H

#include "pier_address.h"
#include "pier_error.h"
#include "pier_file.h"
#include "pier_handle.h"
#include "pier_io.h"
#include "pier_ioctl.h"
#include "pier_loop.h"
#include "pier_operation.h"
#include "pier_pipe.h"
#include "pier_sync.h"
#include "pier_tcp.h"
#include "pier_timer.h"
#include "pier_udp.h"
#include "pier_work.h"

/** Pier's version. */
#define PIER_VERSION "0.1.0"

#endif
