/* Made from plugin.hcl by tidemill plugin build. Changes here are lost. */
#define TM_KIND 'e'
#define TM_WRITES "uuug"
#define TM_STATE "wlwll"
#define TM_STATE_MAX {64, 0, 64, 0, 0}
#define READ_LAT 0
#define READ_LON 1
#define READ_TIME 2
#define WRITE_AREA 0
#define WRITE_EVENT 1
#define WRITE_LEFT 2
#define WRITE_DWELL 3
#define STATE_AREA 0
#define STATE_SINCE 1
#define STATE_NEXT 2
#define STATE_COUNT 3
#define STATE_ARRIVED 4
#include "tidemill.h"
