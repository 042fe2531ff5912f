/* enrich: four numbers in, one out; refuses rows without a temperature; keeps a mean by key. */
#include "guest.h"
#define ROWS 65536
static double out[ROWS];
static i64 count[ROWS];
static u8 valid[ROWS / 8];
static i32 offsets[ROWS + 1];
static u8 refused[ROWS / 8];
static char texts[ROWS * 14];
static void *none[1], *out_b[2] = {0, out}, *count_b[2] = {0, count}, *text_b[3] = {refused, offsets, texts};
static struct array out_a = {.n_buffers = 2, .buffers = out_b}, count_a = {.n_buffers = 2, .buffers = count_b};
static struct array *kids[2] = {&out_a, &count_a};
static struct array rows = {.n_buffers = 1, .n_children = 2, .buffers = none, .children = kids};
static struct array rejects = {.null_count = -1, .n_buffers = 3, .buffers = text_b};
static struct result result = {&rows, 0};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  struct array *c = b->rows->children[0];
  const double *temp = c->buffers[1], *setpoint = b->rows->children[1]->buffers[1];
  const u8 *v = c->buffers[0];
  u32 n = c->length, total = 0;
  double *mean = b->state->children[0]->buffers[1];
  i64 *runs = b->state->children[1]->buffers[1];
  result.rejects = 0;
  for (u32 i = 0; i < (n + 7) / 8; i++) refused[i] = 0;
  for (u32 i = 0; i < n; i++) {
    offsets[i] = total;
    if (v && !(v[i >> 3] >> (i & 7) & 1)) {
      static const char why[] = "no temperature";
      for (u32 j = 0; j < 14; j++) texts[total + j] = why[j];
      total += 14;
      refused[i >> 3] |= 1 << (i & 7);
      result.rejects = &rejects;
      continue;
    }
    if (temp[i] == 666) __builtin_trap();
    if (temp[i] == 777) for (volatile u32 j = 0;; j++) {}
    u32 k = b->keys[i];
    runs[k]++;
    mean[k] += (temp[i] - mean[k]) / runs[k];
    out[i] = mean[k] - setpoint[i];
    count[i] = runs[k];
  }
  offsets[n] = total;
  rows.length = out_a.length = count_a.length = rejects.length = n;
  return &result;
}
