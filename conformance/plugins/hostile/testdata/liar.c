/* A guest that behaves until it meets the row with 666: then it does what its argument `offence` says.
   clang --target=wasm32 -O1 -nostdlib -mbulk-memory -fno-builtin -Wl,--no-entry -Wl,--strip-all liar.c -o liar.wasm */
typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef long long i64;
#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("tidemill"), import_name(#name)))
IMPORT(config_number) double config_number(const char *name, u32 len);
IMPORT(config_text) i32 config_text(const char *name, u32 len, char *to, u32 room);
IMPORT(log) void log_line(i32 level, const char *text, u32 len);
IMPORT(fail) void fail(const char *text, u32 len);

struct array {
  i64 length, null_count, offset, n_buffers, n_children;
  void **buffers;
  struct array **children;
  void *dictionary, *release, *private_data;
};
struct batch { void *rows_schema; struct array *rows; u32 *keys; void *state_schema; struct array *state; void *rest[7]; };
struct result { struct array *rows, *rejects; u32 zero[2]; };

#define ROWS 65536
static double out[ROWS];
static i32 offsets[ROWS + 1];
static char text[ROWS], noise[1024];
static u8 bits[ROWS / 8];
static void *none[1], *out_b[3], *text_b[3];
static struct array out_a, text_a, rows, rejects;
static struct array *kids[2];
static void *reject_b[3];
static struct result result;
static int offence, lied;

extern u8 __heap_base;
static u32 region, room;

EXPORT(tidemill_init) int init(void) {
  offence = config_number("offence", 7);
  return 0;
}

EXPORT(tidemill_alloc) u32 alloc(u32 size) {
  if (size > room) {
    if (!region) region = ((u32)&__heap_base + 63) & ~63u;
    u32 have = __builtin_wasm_memory_size(0), want = (region + size + 65535) >> 16;
    if (want > have && __builtin_wasm_memory_grow(0, want - have) == -1) return 0;
    room = size;
  }
  return region;
}

static u32 deep(volatile u32 n) {
  volatile u32 pad[16];
  pad[n & 15] = n;
  return deep(n + 1) + pad[3];
}

static void grow_for_ever(void) {
  for (;;) {
    u32 at = __builtin_wasm_memory_size(0);
    if (__builtin_wasm_memory_grow(0, 16) == -1 && __builtin_wasm_memory_grow(0, 1) == -1) break;
    for (u32 i = at << 16; i < __builtin_wasm_memory_size(0) << 16; i += 4096) *(volatile u8 *)i = 1;
  }
  __builtin_trap();
}

/* What happens at the row, while it is computed. */
static void at_row(struct batch *b) {
  switch (offence) {
  case 1: for (volatile u32 i = 0;; i++) {}
  case 2: out[0] = deep(1); break;
  case 3: grow_for_ever(); break;
  case 4: for (;;) __builtin_memset(text, 7, sizeof text); break;
  case 9: __builtin_trap();
  case 17: for (u32 i = 0; i < 10 * 1024; i++) log_line(1, noise, sizeof noise); break;
  case 18: for (;;) log_line(0, noise, 0);
  case 19: config_text("offence", 7, (char *)0xfffffff0u, 0x7fffffff); break;
  case 20: log_line(1, (char *)0xffffffffu, 0xffffffffu); break;
  case 21: __builtin_memset((void *)1024, 0xa5, (__builtin_wasm_memory_size(0) << 16) - 1024); break;
  case 22: fail("as it was told", 14); break;
  case 24: for (;;) __builtin_memcpy(text, out, sizeof text);
  case 25: ((u32 *)b->state->children[2]->buffers[1])[b->keys[0]] = 9; break;
  case 26: for (;;) __builtin_wasm_memory_grow(0, 0xffff);
  }
}

/* What the result says once the row was there. */
static struct result *lie(u32 n, struct batch *b) {
  switch (offence) {
  case 5: rows.length = 1ll << 40; break;
  case 6: rows.children = (struct array **)0xfffffff0u; break;
  case 7: for (u32 i = 0; i <= n; i++) offsets[i] = 2 * (n - i); break;
  case 8: rows.length = out_a.length = text_a.length = n + 1000000; break;
  case 10: out_a.n_buffers = 3; break;
  case 11: out_b[1] = (void *)0xfffffff8u; break;
  case 12: rows.length = out_a.length = -1; break;
  case 13: out_b[1] = b->rows->children[0]->buffers[1]; break; /* allowed: a column goes out as it came in */
  case 14: text[0] = 0xff; break;
  case 15: out_b[0] = bits; out_a.null_count = -1; break;
  case 16: return (struct result *)0xfffffff8u;
  case 23: out_a.offset = 1ll << 60; break;
  case 27: out_a.null_count = 1; break;
  case 28: offsets[n] = 0x7fffffff; break;
  case 29: return 0;
  case 30: kids[1] = (struct array *)&rows; break;
  case 31: offsets[0] = -5; break;
  case 32: result.rejects = &rejects; reject_b[1] = offsets; reject_b[2] = text; reject_b[0] = 0; rejects.length = n + 1; rejects.n_buffers = 3; rejects.buffers = reject_b; break;
  case 33: rows.n_children = 1ll << 33; break;
  case 34: result.rejects = &rejects; reject_b[1] = offsets; reject_b[2] = text; reject_b[0] = 0; rejects.length = n; rejects.n_buffers = 3; rejects.buffers = reject_b; break;
  }
  return &result;
}

EXPORT(tidemill_run) struct result *run(struct batch *b) {
  struct array *c = b->rows->children[0];
  const double *temp = c->buffers[1];
  u32 n = c->length;
  lied = 0;
  out_b[0] = 0, out_b[1] = out, text_b[0] = 0, text_b[1] = offsets, text_b[2] = text;
  out_a = (struct array){.length = n, .n_buffers = 2, .buffers = out_b};
  text_a = (struct array){.length = n, .n_buffers = 3, .buffers = text_b};
  kids[0] = &out_a, kids[1] = &text_a;
  rows = (struct array){.length = n, .n_buffers = 1, .n_children = 2, .buffers = none, .children = kids};
  result.rows = &rows, result.rejects = 0;
  double *sum = b->state->children[0]->buffers[1];
  for (u32 i = 0; i < n; i++) {
    offsets[i] = i, text[i] = 'x';
    sum[b->keys[i]] += temp[i];
    out[i] = temp[i] * 2;
    if (temp[i] == 666) at_row(b), lied = 1;
  }
  offsets[n] = n;
  return lied ? lie(n, b) : &result;
}
