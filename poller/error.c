#include "error.h"

const char *pier_error_name(int status) {
  switch (status) {
  case PIER_OK:
    return "PIER_OK";
#define ERROR_NAME(name, number, sentence) \
  case number:                             \
    return #name;
    PIER_ERRORS(ERROR_NAME)
#undef ERROR_NAME
  default:
    return "PIER_EUNKNOWN";
  }
}

const char *pier_error_text(int status) {
  switch (status) {
  case PIER_OK:
    return "success";
#define ERROR_TEXT(name, number, sentence) \
  case number:                             \
    return sentence;
    PIER_ERRORS(ERROR_TEXT)
#undef ERROR_TEXT
  default:
    return pier_error_text(PIER_EUNKNOWN);
  }
}

int pier_error_from_system(uint32_t system_code) {
  size_t high;
  size_t low = 0;
  const struct error_mapping *mappings = error__mappings(&high);

  if (system_code == 0) {
    return PIER_OK;
  }
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (mappings[middle].system_code == system_code) {
      return mappings[middle].status;
    }
    if (mappings[middle].system_code < system_code) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return PIER_EUNKNOWN;
}
