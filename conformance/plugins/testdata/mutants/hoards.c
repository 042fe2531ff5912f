/* a full batch fits */
#include "plugin.h"
static void row(void) { tm_fill(tm_alloc(4096), 1, 4096); }
TM_EACH_ROW(row)
