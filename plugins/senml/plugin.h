/* Made from plugin.hcl by tidemill plugin build. Changes here are lost. */
#define TM_KIND 'd'
#define TM_WRITES "uugubglgg"
#define TM_STATE ""
#define TM_STATE_MAX {0}
#define READ_PAYLOAD 0
#define READ_TOPIC 1
#define WRITE_NAME 0
#define WRITE_UNIT 1
#define WRITE_VALUE 2
#define WRITE_TEXT 3
#define WRITE_TRUTH 4
#define WRITE_SUM 5
#define WRITE_TIME 6
#define WRITE_AGO 7
#define WRITE_EVERY 8
#include "tidemill.h"
