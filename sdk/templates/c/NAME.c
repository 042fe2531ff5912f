#include "plugin.h" /* READ_, WRITE_ and STATE_ columns, from plugin.hcl */

static double limit;

static void init(void) { limit = tm_config_number("limit", 3); }
TM_INIT(init)

static void row(void) {
  if (tm_is_null(READ_TEMP) || tm_is_null(READ_SETPOINT)) {
    tm_reject("temp and setpoint are needed");
    return;
  }
  double temp = tm_number(READ_TEMP);
  double *mean = tm_state_number(STATE_MEAN);
  i64 *rows = tm_state_integer(STATE_ROWS);
  *mean = *rows == 0 ? temp : *mean + (temp - *mean) / 10;
  *rows += 1;

  double over = *mean - tm_number(READ_SETPOINT);
  tm_set_number(WRITE_OVER, over);
  tm_set_string(WRITE_STATE, over > limit ? "warm" : "ok");
}
TM_EACH_ROW(row)
