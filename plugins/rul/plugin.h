/* Made from plugin.hcl by tidemill plugin build. Changes here are lost. */
#define TM_KIND 's'
#define TM_WRITES "g"
#define TM_STATE "lwwgg"
#define TM_STATE_MAX {0, 112, 112, 0, 0}
#define READ_CYCLE 0
#define READ_S2 1
#define READ_S3 2
#define READ_S4 3
#define READ_S7 4
#define READ_S8 5
#define READ_S9 6
#define READ_S11 7
#define READ_S12 8
#define READ_S13 9
#define READ_S14 10
#define READ_S15 11
#define READ_S17 12
#define READ_S20 13
#define READ_S21 14
#define WRITE_RUL 0
#define STATE_ROWS 0
#define STATE_FAST 1
#define STATE_SLOW 2
#define STATE_WFAST 3
#define STATE_WSLOW 4
#include "tidemill.h"
