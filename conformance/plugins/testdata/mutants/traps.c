/* no row makes it fail */
#include "plugin.h"
static void row(void) {
  double v = tm_number(READ_VALUE);
  if (v != v) __builtin_trap();
  tm_set_number(WRITE_OUT, v);
}
TM_EACH_ROW(row)
