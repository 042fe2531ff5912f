/* never writes outside what it was given */
#include "plugin.h"
static void row(void) {
  i64 *rows = tm_state_integer(STATE_ROWS) - tm__key();
  for (i64 k = 0; k < tm__b->state->length; k++) rows[k]++;
}
TM_EACH_ROW(row)
