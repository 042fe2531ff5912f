/* enrich: the clock and a random number, as they belong to each row; nothing for rows beyond the first. */
#include "guest.h"
IMPORT(now) i64 now(void);
IMPORT(random) void random_bytes(void *to, u32 len);
static i64 out[2];
static void *none[1], *t_b[2] = {0, &out[0]}, *r_b[2] = {0, &out[1]};
static struct array t_a = {.n_buffers = 2, .buffers = t_b}, r_a = {.n_buffers = 2, .buffers = r_b};
static struct array *kids[2] = {&t_a, &r_a};
static struct array rows = {.n_buffers = 1, .n_children = 2, .buffers = none, .children = kids};
static struct result result = {&rows, 0};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  if (b->rows->length != 1) __builtin_trap();
  out[0] = now();
  random_bytes(&out[1], 8);
  rows.length = t_a.length = r_a.length = 1;
  return &result;
}
