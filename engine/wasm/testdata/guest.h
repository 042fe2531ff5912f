/* What the test guests share. A real guest takes sdk/c instead. */
typedef unsigned char u8;
typedef unsigned int u32;
typedef int i32;
typedef long long i64;
typedef unsigned long long u64;
#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("tidemill"), import_name(#name)))

struct array {
  i64 length, null_count, offset, n_buffers, n_children;
  void **buffers;
  struct array **children;
  void *dictionary, *release, *private_data;
};
struct batch {
  void *rows_schema;
  struct array *rows;
  u32 *keys;
  void *state_schema;
  struct array *state;
  void *old_schema;
  struct array *old_state;
  u32 old_version, zero[4];
};
struct result { struct array *rows, *rejects; u32 zero[2]; };

extern u8 __heap_base;
static u32 region, room;

EXPORT(tidemill_alloc) u32 alloc(u32 size) {
  if (size > room) {
    if (!region) region = ((u32)&__heap_base + 63) & ~63u;
    u32 have = __builtin_wasm_memory_size(0), want = (region + size + 65535) >> 16;
    if (want > have && __builtin_wasm_memory_grow(0, want - have) == -1) return 0;
    room = size;
  }
  return region;
}
