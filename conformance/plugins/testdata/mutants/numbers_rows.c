/* same rows however batches are cut */
#include "plugin.h"
static void row(void) { tm_set_number(WRITE_OUT, tm__row); }
TM_EACH_ROW(row)
