/* enrich: counts rows by key. Version 2 of its state has the count doubled and a note; version 1 had the count alone. */
#include "guest.h"
IMPORT(config_text) i32 config_text(const char *name, u32 len, char *to, u32 room);
static i64 out[65536];
static void *none[1], *out_b[2] = {0, out};
static struct array out_a = {.n_buffers = 2, .buffers = out_b};
static struct array *kids[1] = {&out_a};
static struct array rows = {.n_buffers = 1, .n_children = 1, .buffers = none, .children = kids};
static struct result result = {&rows, 0};
static char note[8];
static i32 note_len;

EXPORT(tidemill_init) int init(void) { return (note_len = config_text("note", 4, note, 8)) > 8; }

EXPORT(tidemill_migrate) int migrate(struct batch *b) {
  i64 *old = b->old_state->children[0]->buffers[1], *now = b->state->children[0]->buffers[1];
  if (b->old_version != 1 || b->rows || b->keys) return 7;
  for (u32 i = 0; i < b->state->length; i++) now[i] = 2 * old[i];
  return 0;
}

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  i64 *count = b->state->children[0]->buffers[1];
  u8 *notes = b->state->children[1]->buffers[1];
  u32 *lens = b->state->children[2]->buffers[1];
  u32 n = b->rows->length;
  for (u32 i = 0; i < n; i++) {
    u32 k = b->keys[i];
    out[i] = count[k] += 2;
    for (i32 j = 0; j < note_len; j++) notes[8 * k + j] = note[j];
    lens[k] = note_len;
  }
  rows.length = out_a.length = n;
  return &result;
}
