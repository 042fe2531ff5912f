/* same input twice gives the same output */
#include "plugin.h"
static i64 rows;
static void row(void) { tm_set_number(WRITE_OUT, (double)rows++); }
TM_EACH_ROW(row)
