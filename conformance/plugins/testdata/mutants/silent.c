/* rejects name a row and say why */
#include "plugin.h"
static void row(void) {
  if (tm_is_null(READ_VALUE)) tm_reject(" ");
}
TM_EACH_ROW(row)
