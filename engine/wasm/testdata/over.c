/* enrich: four numbers in, one out, nothing else: what the boundary costs. */
#include "guest.h"
static double out[65536];
static void *none[1], *out_b[2] = {0, out};
static struct array out_a = {.n_buffers = 2, .buffers = out_b};
static struct array *kids[1] = {&out_a};
static struct array rows = {.n_buffers = 1, .n_children = 1, .buffers = none, .children = kids};
static struct result result = {&rows, 0};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  struct array **c = b->rows->children;
  const double *t = c[0]->buffers[1], *s = c[1]->buffers[1], *a = c[2]->buffers[1], *f = c[3]->buffers[1];
  u32 n = c[0]->length;
  for (u32 i = 0; i < n; i++) out[i] = (t[i] - s[i]) * a[i] + f[i];
  rows.length = out_a.length = n;
  return &result;
}
