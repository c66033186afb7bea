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
