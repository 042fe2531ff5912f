#include "plugin.h"

static void key(void) {
  tm_text label = tm_old_bytes(0);
  *tm_state_number(STATE_TOTAL) = 10 * (double)tm_old_integer(1) + tm_old_number(2) + tm_old_version();
  tm_copy(tm_state_bytes(STATE_NOTE), label.at, label.len);
  *tm_state_length(STATE_NOTE) = label.len;
}
TM_MIGRATE(key)

static void row(void) {
  *tm_state_number(STATE_TOTAL) += tm_number(READ_TEMP);
  tm_set_number(WRITE_TOTAL, *tm_state_number(STATE_TOTAL));
}
TM_EACH_ROW(row)
