/* enrich: takes one row in its life, unless it is over 100 degrees, and refuses all others. That it has had one it remembers in
   memory, in a global, or in how much memory it has: rows under 0, 1 and 2 degrees, in turn. */
#define TM_KIND 'e'
#define TM_WRITES "g"
#define TM_STATE ""
#define TM_STATE_MAX {0}
#include "../../../sdk/c/tidemill.h"

static bool had;
static int __attribute__((address_space(1))) had_too;
static u32 pages;

TM_EXPORT(tidemill_init) int init(void) {
  pages = __builtin_wasm_memory_size(0) + 8;
  return 0;
}

static void row(void) {
  double t = tm_number(0);
  if (t > 100) {
    tm_reject("too warm");
    return;
  }
  if (had || had_too || __builtin_wasm_memory_size(0) > pages) {
    tm_reject("had one");
    return;
  }
  if (t < 0) had = true;
  else if (t < 1) had_too = 1;
  else __builtin_wasm_memory_grow(0, 16);
  tm_set_number(0, t + 1);
}
TM_EACH_ROW(row)
