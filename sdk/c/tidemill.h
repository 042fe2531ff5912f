/* tidemill.h: write a Tidemill plugin in C. The contract below it is sdk/ABI.md.
 *
 *   #include "plugin.h"                 made from plugin.hcl by `tidemill plugin build`
 *
 *   static void row(void) {
 *     if (tm_is_null(READ_TEMP)) {
 *       tm_reject("there is no temperature");
 *       return;
 *     }
 *     double *mean = tm_state_number(STATE_MEAN);
 *     *mean += (tm_number(READ_TEMP) - *mean) / 10;
 *     tm_set_number(WRITE_OVER, *mean - tm_config_number("limit", 3));
 *   }
 *   TM_EACH_ROW(row)
 *
 * plugin.h names the columns (READ_..., WRITE_..., STATE_...) and includes this file.
 * There is no C library: tm_alloc, tm_copy and a few more stand in for what is needed of one.
 *
 * enrich and score: a row has one answer; what is not set is null.
 * transform and decode: tm_emit() begins an output row; a row without one is dropped.
 *
 * Whole columns at once, for speed: TM_EACH_BATCH(batch), tm_rows, tm_numbers(), tm_valid(),
 * tm_out_numbers(). Memory lasts until the instance ends, which may be at any time: what has to
 * last longer is state.
 */
#ifndef TIDEMILL_H
#define TIDEMILL_H

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;
typedef long long i64;
#ifndef __cplusplus
typedef _Bool bool;
#define true 1
#define false 0
#endif

#define TM_EXPORT(name) __attribute__((export_name(#name)))
#define TM_IMPORT(name) __attribute__((import_module("tidemill"), import_name(#name)))

/* Text that is not ended by a zero. */
typedef struct { const char *at; u32 len; } tm_text;

enum { TM_DEBUG, TM_INFO, TM_WARNING, TM_ERROR };

TM_IMPORT(log) void tm__log(i32 level, const char *text, u32 len);
TM_IMPORT(config_number) double tm__config_number(const char *name, u32 len);
TM_IMPORT(config_text) i32 tm__config_text(const char *name, u32 len, char *to, u32 room);
TM_IMPORT(fail) void tm__fail(const char *text, u32 len);

/* ---- memory and text ------------------------------------------------------------------ */

/* Blocks are powers of two; free ones wait in a list by size. */
extern u8 __heap_base;
static u8 *tm__free[32];
static u32 tm__top;

static u32 tm__class(u32 size) {
  u32 c = size <= 16 ? 4 : 32 - __builtin_clz(size - 1);
  if (c > 31) __builtin_trap();
  return c;
}

/* tm_try_alloc gives size bytes, aligned to 16; 0 when there are none. They are not zero. */
static void *tm_try_alloc(u32 size) {
  u32 c = tm__class(size);
  u8 *block = tm__free[c];
  if (block) {
    tm__free[c] = *(u8 **)block;
    return block;
  }
  if (!tm__top) tm__top = ((u32)&__heap_base + 63) & ~63u;
  u64 end = (u64)tm__top + (1ull << c);
  u32 have = (u32)__builtin_wasm_memory_size(0);
  u64 want = (end + 65535) >> 16;
  if (want > 65535) return 0;
  if (want > have && __builtin_wasm_memory_grow(0, (u32)want - have) == (__SIZE_TYPE__)-1) return 0;
  block = (u8 *)tm__top;
  tm__top = (u32)end;
  return block;
}

/* tm_alloc gives size bytes or fails the row. */
static inline void *tm_alloc(u32 size) {
  void *p = tm_try_alloc(size);
  if (!p) __builtin_trap();
  return p;
}

/* tm_free takes back what tm_alloc gave; size is as it was then. */
static inline void tm_free(void *p, u32 size) {
  if (!p) return;
  u32 c = tm__class(size);
  *(u8 **)p = tm__free[c];
  tm__free[c] = (u8 *)p;
}

static inline void tm_copy(void *to, const void *from, u32 n) { __builtin_memcpy(to, from, n); }
static inline void tm_fill(void *to, u8 value, u32 n) { __builtin_memset(to, value, n); }

static inline u32 tm_length(const char *s) {
  u32 n = 0;
  while (s[n]) n++;
  return n;
}

static inline bool tm_same(tm_text a, tm_text b) {
  if (a.len != b.len) return false;
  for (u32 i = 0; i < a.len; i++)
    if (a.at[i] != b.at[i]) return false;
  return true;
}

/* tm_is compares with a C string. */
static inline bool tm_is(tm_text a, const char *b) {
  tm_text t = {b, tm_length(b)};
  return tm_same(a, t);
}

/* ---- what the host gives --------------------------------------------------------------- */

struct tm__array {
  i64 length, null_count, offset, n_buffers, n_children;
  void **buffers;
  struct tm__array **children;
  void *dictionary, *release, *private_data;
};
struct tm__schema {
  const char *format, *name, *metadata;
  u32 pad;
  i64 flags, n_children;
  struct tm__schema **children;
  void *dictionary, *release, *private_data;
};
struct tm__batch {
  void *rows_schema;
  struct tm__array *rows;
  u32 *keys;
  void *state_schema;
  struct tm__array *state;
  struct tm__schema *old_schema;
  struct tm__array *old_state;
  u32 old_version, zero[4];
};

static struct tm__batch *tm__b;
static u32 tm__row;  /* the input row under way */
static u32 tm_rows;  /* input rows of the batch */

static u8 *tm__region;
static u32 tm__room;

TM_EXPORT(tidemill_alloc) u8 *tm__alloc_region(u32 size) {
  if (size > tm__room) {
    u32 room = 1u << tm__class(size);
    u8 *p = (u8 *)tm_try_alloc(room);
    if (!p) return 0;
    tm_free(tm__region, tm__room);
    tm__region = p;
    tm__room = room;
  }
  return tm__region;
}

static inline void *tm__data(int column, int buffer) { return tm__b->rows->children[column]->buffers[buffer]; }

/* tm_valid is the validity of a column: bit i & 7 of byte i >> 3; 0: no value is null. */
static inline const u8 *tm_valid(int column) { return (const u8 *)tm__data(column, 0); }

/* tm_numbers, tm_integers: the values of a column, tm_rows of them; 0 under a null. */
static inline const double *tm_numbers(int column) { return (const double *)tm__data(column, 1); }
static inline const i64 *tm_integers(int column) { return (const i64 *)tm__data(column, 1); }

static inline bool tm_is_null(int column) {
  const u8 *v = tm_valid(column);
  return v && !(v[tm__row >> 3] >> (tm__row & 7) & 1);
}

/* The values of the row under way; 0, false and "" under a null. Integers and timestamps (us since 1970) are
 * tm_integer, strings and bytes are tm_string. */
static inline double tm_number(int column) { return tm_numbers(column)[tm__row]; }
static inline i64 tm_integer(int column) { return tm_integers(column)[tm__row]; }
static inline bool tm_bool(int column) { return ((const u8 *)tm__data(column, 1))[tm__row >> 3] >> (tm__row & 7) & 1; }
static inline tm_text tm_string(int column) {
  const i32 *offsets = (const i32 *)tm__data(column, 1) + tm__row;
  tm_text t = {(const char *)tm__data(column, 2) + offsets[0], (u32)(offsets[1] - offsets[0])};
  return t;
}

/* ---- state of the row's key: written in place, all zero at first ------------------------ */

#define TM__STATES (sizeof(TM_STATE) - 1)

static inline void *tm__state(int column, int second) {
  int child = column + second; /* bytes take two columns: the bytes, and how many are in use */
  for (int i = 0; i < column; i++) child += TM_STATE[i] == 'w';
  return tm__b->state->children[child]->buffers[1];
}
static inline u32 tm__key(void) { return tm__b->keys[tm__row]; }
static inline double *tm_state_number(int column) { return (double *)tm__state(column, 0) + tm__key(); }
static inline i64 *tm_state_integer(int column) { return (i64 *)tm__state(column, 0) + tm__key(); }

/* tm_state_bytes is room for as many bytes as the manifest says; tm_state_length is how many are in use. */
static inline u8 *tm_state_bytes(int column) {
  static const u32 max[] = TM_STATE_MAX;
  return (u8 *)tm__state(column, 0) + max[column] * tm__key();
}
static inline u32 *tm_state_length(int column) { return (u32 *)tm__state(column, 1) + tm__key(); }

/* ---- configuration, log, failing -------------------------------------------------------- */

/* tm_config_number is an argument of the plugin block; otherwise when it was not given. */
static inline double tm_config_number(const char *name, double otherwise) {
  double v = tm__config_number(name, tm_length(name));
  return v == v ? v : otherwise;
}

/* tm_config_text gives an argument's text (all but strings as JSON), to be freed with tm_free; .at is 0
 * when it was not given. */
static inline tm_text tm_config_text(const char *name) {
  tm_text t = {0, 0};
  i32 n = tm__config_text(name, tm_length(name), 0, 0);
  if (n < 0) return t;
  char *to = (char *)tm_alloc((u32)n + 1);
  tm__config_text(name, tm_length(name), to, (u32)n);
  t.at = to;
  t.len = (u32)n;
  return t;
}

/* tm_log writes a line for the operator. */
static inline void tm_log(i32 level, const char *text) { tm__log(level, text, tm_length(text)); }

/* tm_fail gives the row up, and the instance: for what must not happen. For a row that makes no sense, tm_reject. */
static inline void tm_fail(const char *text) {
  tm__fail(text, tm_length(text));
  __builtin_trap();
}

/* ---- what the guest gives ---------------------------------------------------------------- */

#define TM__WRITES (sizeof(TM_WRITES) - 1)
#define TM__MANY (TM_KIND == 't' || TM_KIND == 'd')

struct tm__column { /* one that grows; of strings, data holds i32 offsets and text the bytes */
  u8 *valid, *data, *text;
  u32 text_len, text_room;
  struct tm__array array;
  void *buffers[3];
};
static struct tm__column tm__out[TM__WRITES + 1], tm__rejected;
static struct tm__array tm__out_rows, tm__row_array, *tm__children[TM__WRITES + 2];
static void *tm__none[1], *tm__row_buffers[2];
static u32 *tm__from;   /* _row */
static u32 tm__n;       /* output rows, the one under way among them */
static u32 tm__first;   /* the first output row of the input row under way */
static u32 tm__size;    /* output rows that there is room for */
static u32 tm__refuse_size;
static bool tm__any_rejected, tm__refused;
static struct { struct tm__array *rows, *rejects; u32 zero[2]; } tm__result;

static inline u32 tm__width(char format) { return format == 'u' ? 4 : format == 'b' ? 0 : 8; }

static void *tm__grown(void *old, u32 have, u32 want) {
  u8 *p = (u8 *)tm_alloc(want);
  if (old) tm_copy(p, old, have);
  tm_fill(p + have, 0, want - have);
  tm_free(old, have);
  return p;
}

static void tm__grow_column(struct tm__column *c, char format, u32 have, u32 want) {
  u32 width = tm__width(format), extra = format == 'u' ? 64 : 0;
  c->valid = (u8 *)tm__grown(c->valid, have / 8, want / 8);
  if (width) c->data = (u8 *)tm__grown(c->data, have ? have * width + extra : 0, want * width + extra);
  else c->data = (u8 *)tm__grown(c->data, have / 8, want / 8);
}

/* tm__reserve makes room for output rows: powers of two, 64 at least. */
static void tm__reserve(u32 rows) {
  if (rows <= tm__size) return;
  u32 want = 1u << tm__class(rows < 64 ? 64 : rows);
  for (u32 c = 0; c < TM__WRITES; c++) tm__grow_column(&tm__out[c], TM_WRITES[c], tm__size, want);
  if (TM__MANY) tm__from = (u32 *)tm__grown(tm__from, tm__size * 4, want * 4);
  tm__size = want;
}

static void tm__append(struct tm__column *c, const char *text, u32 len) {
  if (c->text_len + len > c->text_room) {
    u32 want = 1u << tm__class(c->text_len + len);
    c->text = (u8 *)tm__grown(c->text, c->text_room, want);
    c->text_room = want;
  }
  tm_copy(c->text + c->text_len, text, len);
  c->text_len += len;
}

/* tm__end_row closes the strings of the output row under way. */
static void tm__end_row(void) {
  if (tm__n == 0) return;
  for (u32 c = 0; c < TM__WRITES; c++)
    if (TM_WRITES[c] == 'u') ((u32 *)tm__out[c].data)[tm__n] = tm__out[c].text_len;
}

static void tm__begin_row(void) {
  tm__end_row();
  if (TM__MANY) tm__reserve(tm__n + 1), tm__from[tm__n] = tm__row;
  tm__n++;
}

/* tm_emit begins an output row of a transform or decoder; what is set next is set in it. */
static inline void tm_emit(void) {
  if (TM__MANY && !tm__refused) tm__begin_row();
}

static inline bool tm__set(int column) {
  if (tm__refused || tm__n == tm__first) return false;
  u32 row = tm__n - 1;
  tm__out[column].valid[row >> 3] |= (u8)(1 << (row & 7));
  return true;
}

/* tm_set_...: values of the output row under way. */
static inline void tm_set_number(int column, double v) {
  if (tm__set(column)) ((double *)tm__out[column].data)[tm__n - 1] = v;
}
static inline void tm_set_integer(int column, i64 v) {
  if (tm__set(column)) ((i64 *)tm__out[column].data)[tm__n - 1] = v;
}
static inline void tm_set_bool(int column, bool v) {
  if (!tm__set(column)) return;
  u8 *byte = tm__out[column].data + ((tm__n - 1) >> 3), bit = (u8)(1 << ((tm__n - 1) & 7));
  *byte = v ? *byte | bit : *byte & ~bit;
}
static inline void tm_set_text(int column, const char *text, u32 len) {
  if (!tm__set(column)) return;
  struct tm__column *c = &tm__out[column];
  c->text_len = ((u32 *)c->data)[tm__n - 1];
  tm__append(c, text, len);
}
static inline void tm_set_string(int column, const char *text) { tm_set_text(column, text, tm_length(text)); }

static void tm__undo(void) { /* takes back the output rows of an input row that is refused */
  for (u32 c = 0; c < TM__WRITES; c++) {
    struct tm__column *o = &tm__out[c];
    if (TM_WRITES[c] == 'u') o->text_len = ((u32 *)o->data)[tm__first];
    for (u32 row = tm__first; row < tm__n; row++) {
      u8 bit = (u8)(1 << (row & 7));
      o->valid[row >> 3] &= ~bit;
      if (TM_WRITES[c] == 'b') o->data[row >> 3] &= ~bit;
      else if (TM_WRITES[c] != 'u') ((u64 *)o->data)[row] = 0;
      if (!TM__MANY) o->valid[row >> 3] |= bit; /* a filler, so that columns without nulls stay so */
    }
  }
  if (TM__MANY) tm__n = tm__first;
}

/* tm_reject refuses the row, with a reason for a person. What was set of it is taken back. */
static inline void tm_reject(const char *reason) {
  if (tm__refused) return;
  tm__undo();
  tm__refused = true;
  struct tm__column *c = &tm__rejected;
  if (!tm__any_rejected) {
    tm__any_rejected = true;
    if (tm_rows > tm__refuse_size) {
      u32 want = 1u << tm__class(tm_rows < 64 ? 64 : tm_rows);
      tm__grow_column(c, 'u', tm__refuse_size, want);
      tm__refuse_size = want;
    }
    tm_fill(c->valid, 0, (tm_rows + 7) / 8);
    tm_fill(c->data, 0, (tm__row + 1) * 4);
    c->text_len = 0;
  }
  c->valid[tm__row >> 3] |= (u8)(1 << (tm__row & 7));
  tm__append(c, reason, tm_length(reason));
}

/* ---- running ------------------------------------------------------------------------------ */

static void tm__begin(struct tm__batch *b) {
  u32 dirty = tm__n, bits = (dirty + 7) / 8; /* rows of the last batch; all else is zero */
  tm__b = b;
  tm_rows = (u32)b->rows->length;
  tm__n = tm__first = 0;
  tm__any_rejected = tm__refused = false;
  tm__reserve(tm_rows);
  for (u32 c = 0; c < TM__WRITES; c++) {
    struct tm__column *o = &tm__out[c];
    tm_fill(o->valid, 0, bits);
    tm_fill(o->data, 0, TM_WRITES[c] == 'b' ? bits : TM_WRITES[c] == 'u' ? 4 : dirty * 8);
    o->text_len = 0;
  }
}

static void tm__seal(struct tm__column *c, char format, u32 n) {
  c->buffers[0] = c->valid;
  c->buffers[1] = c->data;
  c->buffers[2] = c->text;
  c->array.length = n;
  c->array.null_count = -1;
  c->array.n_buffers = format == 'u' ? 3 : 2;
  c->array.buffers = c->buffers;
}

static void *tm__end(void) {
  u32 at = 0;
  if (TM__MANY) {
    tm__row_buffers[1] = tm__from;
    tm__row_array.length = tm__n;
    tm__row_array.n_buffers = 2;
    tm__row_array.buffers = tm__row_buffers;
    tm__children[at++] = &tm__row_array;
  }
  for (u32 c = 0; c < TM__WRITES; c++) {
    tm__seal(&tm__out[c], TM_WRITES[c], tm__n);
    tm__children[at++] = &tm__out[c].array;
  }
  tm__out_rows.length = tm__n;
  tm__out_rows.n_buffers = 1;
  tm__out_rows.n_children = at;
  tm__out_rows.buffers = tm__none;
  tm__out_rows.children = tm__children;
  tm__result.rows = &tm__out_rows;
  if (tm__any_rejected) tm__seal(&tm__rejected, 'u', tm_rows);
  tm__result.rejects = tm__any_rejected ? &tm__rejected.array : 0;
  return &tm__result;
}

static inline void *tm__each_row(struct tm__batch *b, void (*row)(void)) {
  tm__begin(b);
  for (tm__row = 0; tm__row < tm_rows; tm__row++) {
    tm__refused = false;
    tm__first = tm__n;
    if (!TM__MANY) tm__begin_row();
    row();
    tm__end_row();
    if (tm__any_rejected) ((u32 *)tm__rejected.data)[tm__row + 1] = tm__rejected.text_len;
  }
  return tm__end();
}

/* tm_out_numbers, tm_out_integers: tm_rows values of a column of an enrich or score, to be written whole in
 * TM_EACH_BATCH. tm_out_valid is its validity; tm_no_nulls sets all of it. */
static inline double *tm_out_numbers(int column) { return (double *)tm__out[column].data; }
static inline i64 *tm_out_integers(int column) { return (i64 *)tm__out[column].data; }
static inline u8 *tm_out_valid(int column) { return tm__out[column].valid; }
static inline void tm_no_nulls(int column) { tm_fill(tm__out[column].valid, 255, (tm_rows + 7) / 8); }

/* TM_EACH_ROW makes the plugin of a function that is called for each row, TM_EACH_BATCH of one that is
 * called for each batch of an enrich or score. */
#define TM_EACH_ROW(function) \
  TM_EXPORT(tidemill_run) void *tm__run(struct tm__batch *b) { return tm__each_row(b, function); }
#define TM_EACH_BATCH(function)                              \
  TM_EXPORT(tidemill_run) void *tm__run(struct tm__batch *b) { \
    tm__begin(b);                                            \
    tm__n = tm_rows;                                         \
    function();                                              \
    return tm__end();                                        \
  }

/* ---- state of an older version ------------------------------------------------------------ */

/* TM_MIGRATE names a function that turns the state of one key, as an older version of the plugin left it, into this version's:
 *
 *   static void migrate(void) {               // version 1 had count = integer; version 2 has total = number
 *     if (tm_old_version() == 1) *tm_state_number(STATE_TOTAL) = (double)tm_old_integer(0);
 *   }
 *   TM_MIGRATE(migrate)
 *
 * plugin.hcl says what there was: state has a block from, with the lines version = 1 and columns = { count = integer }. Old columns go by
 * number, in that order; what is not set is zero. */
static u32 tm__old_key;

static inline u32 tm_old_version(void) { return tm__b->old_version; }
static inline int tm__old_child(int column) { /* bytes take two children, the second has format I */
  int child = 0;
  for (;; child++) {
    if (tm__b->old_schema->children[child]->format[0] == 'I') continue;
    if (column-- == 0) return child;
  }
}
static inline void *tm__old(int child) { return tm__b->old_state->children[child]->buffers[1]; }
static inline double tm_old_number(int column) { return ((double *)tm__old(tm__old_child(column)))[tm__old_key]; }
static inline i64 tm_old_integer(int column) { return ((i64 *)tm__old(tm__old_child(column)))[tm__old_key]; }
static inline tm_text tm_old_bytes(int column) {
  int child = tm__old_child(column);
  u32 width = 0;
  for (const char *f = tm__b->old_schema->children[child]->format + 2; *f; f++) width = width * 10 + (u32)(*f - '0');
  tm_text t = {(const char *)tm__old(child) + width * tm__old_key, ((u32 *)tm__old(child + 1))[tm__old_key]};
  return t;
}

static inline i32 tm__migrate_keys(struct tm__batch *b, void (*key)(void)) {
  struct tm__batch one = *b;
  one.keys = &tm__old_key; /* so that tm_state_... name the key under way */
  tm__b = &one;
  tm__row = 0;
  for (tm__old_key = 0; tm__old_key < (u32)b->old_state->length; tm__old_key++) key();
  return 0;
}

#define TM_MIGRATE(function) \
  TM_EXPORT(tidemill_migrate) i32 tm__migrate(struct tm__batch *b) { return tm__migrate_keys(b, function); }

/* TM_INIT names a function that is called once, before the first batch: it may read the configuration. */
#define TM_INIT(function) \
  TM_EXPORT(tidemill_init) i32 tm__init(void) { return function(), 0; }

#endif
