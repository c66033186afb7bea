/** @file pier_export.h
 *  How Pier's public functions are marked in headers and libraries. */
#ifndef PIER_EXPORT_H
#define PIER_EXPORT_H

/* PIER_BUILD is set while the library itself is compiled, PIER_SHARED by users of the DLL. */
#if defined(_WIN32) && defined(PIER_BUILD)
#define PIER_API __declspec(dllexport)
#elif defined(_WIN32) && defined(PIER_SHARED)
#define PIER_API __declspec(dllimport)
#elif defined(__GNUC__)
#define PIER_API __attribute__((visibility("default")))
#else
#define PIER_API
#endif

#endif
