/* transform: n copies of each row, numbered; none for n of 0. Refuses negative ones. Strings and nulls go through. */
#include "guest.h"
#define MOST 262144
static u32 from[MOST];
static i64 nth[MOST];
static i32 offsets[MOST + 1], why_off[65537];
static char text[1 << 22], why[1 << 16];
static u8 refused[8192], valid[MOST / 8];
static void *none[1], *from_b[2] = {0, from}, *nth_b[2] = {0, nth}, *text_b[3] = {valid, offsets, text}, *why_b[3] = {refused, why_off, why};
static struct array from_a = {.n_buffers = 2, .buffers = from_b}, nth_a = {.n_buffers = 2, .buffers = nth_b}, text_a = {.null_count = -1, .n_buffers = 3, .buffers = text_b};
static struct array *kids[3] = {&from_a, &nth_a, &text_a};
static struct array rows = {.n_buffers = 1, .n_children = 3, .buffers = none, .children = kids};
static struct array rejects = {.null_count = -1, .n_buffers = 3, .buffers = why_b};
static struct result result = {&rows, &rejects};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  struct array **c = b->rows->children;
  const double *n = c[0]->buffers[1];
  const u8 *v = c[1]->buffers[0];
  const i32 *o = c[1]->buffers[1];
  const char *t = c[1]->buffers[2];
  u32 out = 0, bytes = 0, w = 0;
  for (u32 i = 0; i < c[0]->length; i++) valid[i] = 0;
  for (u32 i = 0; i < (c[0]->length + 7) / 8; i++) refused[i] = 0;
  for (u32 i = 0; i < c[0]->length; i++) {
    why_off[i] = w;
    if (n[i] < 0) {
      why[w++] = 'n', why[w++] = 'o';
      refused[i >> 3] |= 1 << (i & 7);
      continue;
    }
    for (u32 k = 0; k < (u32)n[i]; k++) {
      from[out] = i, nth[out] = k, offsets[out] = bytes;
      if (!v || v[i >> 3] >> (i & 7) & 1) {
        valid[out >> 3] |= 1 << (out & 7);
        for (i32 j = o[i]; j < o[i + 1]; j++) text[bytes++] = t[j];
      }
      out++;
    }
  }
  why_off[c[0]->length] = w;
  offsets[out] = bytes;
  rejects.length = c[0]->length;
  rows.length = from_a.length = nth_a.length = text_a.length = out;
  return &result;
}
