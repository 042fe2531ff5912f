/* enrich: says which version of it ran, and how many rows of the key came before; -DTRAP fails at 555. */
#include "guest.h"
#define ROWS 65536
static double out[ROWS];
static i64 count[ROWS];
static void *none[1], *out_b[2] = {0, out}, *count_b[2] = {0, count};
static struct array out_a = {.n_buffers = 2, .buffers = out_b}, count_a = {.n_buffers = 2, .buffers = count_b};
static struct array *kids[2] = {&out_a, &count_a};
static struct array rows = {.n_buffers = 1, .n_children = 2, .buffers = none, .children = kids};
static struct result result = {&rows, 0};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  const double *temp = b->rows->children[0]->buffers[1];
  i64 *seen = b->state->children[0]->buffers[1];
  u32 n = b->rows->children[0]->length;
  for (u32 i = 0; i < n; i++) {
#ifdef TRAP
    if (temp[i] == 555) __builtin_trap();
#endif
    out[i] = VERSION;
    count[i] = ++seen[b->keys[i]];
  }
  rows.length = out_a.length = count_a.length = n;
  return &result;
}
