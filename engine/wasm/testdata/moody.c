/* enrich: takes one row in its life, unless it is over 100 degrees, and refuses all others. That it has had one it remembers in
   memory, in a global, in how much memory it has, or in what it draws next: rows under 0, 1, 2 and 3 degrees, in turn. */
#define TM_KIND 'e'
#define TM_WRITES "g"
#define TM_STATE ""
#define TM_STATE_MAX {0}
#include "../../../sdk/c/tidemill.h"

static bool had;
/* Volatile, or else clang makes a byte at address 0 of it. */
static volatile int __attribute__((address_space(1))) had_too;
static u32 pages;

/* What the host draws first in an instance. */
#define FIRST_DRAW 0xe220a8397b1dcdafULL

__attribute__((import_module("wasi_snapshot_preview1"), import_name("random_get"))) int random_get(void *at, u32 n);

TM_EXPORT(tidemill_init) int init(void) {
  __builtin_wasm_memory_grow(0, 1); /* so that it comes to life with more memory than it is made with */
  pages = __builtin_wasm_memory_size(0) + 8;
  return 0;
}

static void row(void) {
  double t = tm_number(0);
  if (t > 100) {
    tm_reject("too warm");
    return;
  }
  u64 draw = FIRST_DRAW;
  if (t >= 2) random_get(&draw, sizeof draw);
  if (had || had_too || __builtin_wasm_memory_size(0) > pages || draw != FIRST_DRAW) {
    tm_reject("had one");
    return;
  }
  if (t < 0) had = true;
  else if (t < 1) had_too = 1;
  else if (t < 2) __builtin_wasm_memory_grow(0, 16);
  tm_set_number(0, t + 1);
}
TM_EACH_ROW(row)
