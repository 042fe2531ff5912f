/* decode: a payload of 16-bit numbers, a row each, with the version that ran. Odd lengths are refused; -DTRAP fails at 555. */
#include "guest.h"
#define MOST 262144
static u32 from[MOST];
static double seq[MOST], ver[MOST];
static i32 why_off[65537];
static char why[1 << 19];
static u8 refused[8192];
static void *none[1], *from_b[2] = {0, from}, *seq_b[2] = {0, seq}, *ver_b[2] = {0, ver}, *why_b[3] = {refused, why_off, why};
static struct array from_a = {.n_buffers = 2, .buffers = from_b}, seq_a = {.n_buffers = 2, .buffers = seq_b}, ver_a = {.n_buffers = 2, .buffers = ver_b};
static struct array *kids[3] = {&from_a, &seq_a, &ver_a};
static struct array rows = {.n_buffers = 1, .n_children = 3, .buffers = none, .children = kids};
static struct array rejects = {.null_count = -1, .n_buffers = 3, .buffers = why_b};
static struct result result = {&rows, &rejects};

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  struct array *payload = b->rows->children[0];
  const i32 *o = payload->buffers[1];
  const u8 *t = payload->buffers[2];
  u32 n = payload->length, out = 0, w = 0;
  for (u32 i = 0; i < (n + 7) / 8; i++) refused[i] = 0;
  for (u32 i = 0; i < n; i++) {
    why_off[i] = w;
    if ((o[i + 1] - o[i]) & 1) {
      for (const char *c = "half"; *c; c++) why[w++] = *c;
      refused[i >> 3] |= 1 << (i & 7);
      continue;
    }
    for (i32 j = o[i]; j < o[i + 1]; j += 2) {
      if (out == MOST) return 0; /* a smaller batch, please */
      u32 v = t[j] | t[j + 1] << 8;
#ifdef TRAP
      if (v == 555) __builtin_trap();
#endif
      from[out] = i, seq[out] = v, ver[out++] = VERSION;
    }
  }
  why_off[n] = w;
  rejects.length = n;
  rows.length = from_a.length = seq_a.length = ver_a.length = out;
  return &result;
}
