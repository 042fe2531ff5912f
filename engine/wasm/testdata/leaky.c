/* enrich: refuses rows over 100 degrees, and by mistake all that come after one, as long as the instance lives. */
#define TM_KIND 'e'
#define TM_WRITES "g"
#define TM_STATE "g"
#define TM_STATE_MAX {0}
#include "../../../sdk/c/tidemill.h"

static bool stuck;

static void row(void) {
  if (tm_number(0) > 100) stuck = true;
  if (stuck) {
    tm_reject("too warm");
    return;
  }
  *tm_state_number(0) += tm_number(0);
  tm_set_number(0, *tm_state_number(0));
}
TM_EACH_ROW(row)
