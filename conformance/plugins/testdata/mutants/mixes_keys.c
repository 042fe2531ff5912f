/* a key's rows depend on that key alone */
#include "plugin.h"
static void row(void) {
  i64 *rows = tm_state_integer(STATE_ROWS) - tm__key(); /* of the first key, whose row it is not */
  tm_set_number(WRITE_OUT, (double)++*rows);
}
TM_EACH_ROW(row)
