/* earlier batches do not show */
#include "plugin.h"
static double last;
static void row(void) {
  if (!tm_is_null(READ_VALUE)) last = tm_number(READ_VALUE);
  tm_set_number(WRITE_OUT, last);
}
TM_EACH_ROW(row)
