/* Made from plugin.hcl by tidemill plugin build. Changes here are lost. */
#define TM_KIND 'e'
#define TM_WRITES "gggg"
#define TM_STATE "lgggggggl"
#define TM_STATE_MAX {0, 0, 0, 0, 0, 0, 0, 0, 0}
#define READ_TEMP 0
#define READ_AMBIENT 1
#define READ_SETPOINT 2
#define READ_COMPRESSOR 3
#define READ_DOOR_OPEN 4
#define READ_TIME 5
#define WRITE_DUTY 0
#define WRITE_EXPECTED 1
#define WRITE_PULL_DOWN 2
#define WRITE_SCORE 3
#define STATE_LAST 0
#define STATE_TEMP 1
#define STATE_HOURS 2
#define STATE_DUTY 3
#define STATE_WEIGHT 4
#define STATE_PULL 5
#define STATE_PULLED 6
#define STATE_EXPECTED 7
#define STATE_RUNNING 8
#include "tidemill.h"
