/* senml: Sensor Measurement Lists, RFC 8428. JSON (section 5) and CBOR (section 6) give the same rows.
 *
 * A pack is read twice: it is checked as a whole first, so that a pack with a mistake gives no rows.
 */
#include "plugin.h"
#include "../json.h"

enum { BN = 1, BU, BT, BV, BS, BVER, N, U, V, VS, VB, VD, S, T, UT, FIELDS };

typedef struct { char at[256]; u32 len; bool set; } text;
typedef struct { double v; bool set; } num;

static struct {
  text bn, bu, n, u, vs, vd;
  num bt, bv, bs, v, s, t, ut;
  bool vb, vb_set;
} r;
static const char *problem;
static bool bad(const char *why) {
  if (!problem) problem = why;
  return false;
}

static bool writing; /* the second time */
static u32 records;

/* done ends a record: 4.5.3, resolved records. */
static bool done(void) {
  u32 values = r.v.set + r.vs.set + r.vb_set + r.vd.set, name = r.bn.len + r.n.len;
  if (values > 1) return bad("a record has more than one value");
  if (!values && !r.s.set) return true; /* base fields alone */
  if (!name) return bad("a record has no name");
  if (name > 256) return bad("a name is longer than 256 bytes");
  for (u32 i = 0; i < name; i++) { /* 4.5.1 */
    char c = i < r.bn.len ? r.bn.at[i] : r.n.at[i - r.bn.len];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && (i == 0 || (c != '-' && c != ':' && c != '.' && c != '/' && c != '_'))) return bad("a name has other characters than letters, digits and -:./_");
  }
  if (!writing) return ++records <= 1024 || bad("it has more than 1024 records");
  tm_emit();
  char whole[512];
  tm_copy(whole, r.bn.at, r.bn.len);
  tm_copy(whole + r.bn.len, r.n.at, r.n.len);
  tm_set_text(WRITE_NAME, whole, name);
  text *unit = r.u.set ? &r.u : &r.bu;
  if (unit->len) tm_set_text(WRITE_UNIT, unit->at, unit->len);
  if (r.v.set) tm_set_number(WRITE_VALUE, r.v.v + r.bv.v);
  if (r.vs.set) tm_set_text(WRITE_TEXT, r.vs.at, r.vs.len);
  if (r.vd.set) tm_set_text(WRITE_TEXT, r.vd.at, r.vd.len);
  if (r.vb_set) tm_set_bool(WRITE_TRUTH, r.vb);
  if (r.s.set) tm_set_number(WRITE_SUM, r.s.v + r.bs.v);
  if (r.ut.set) tm_set_number(WRITE_EVERY, r.ut.v);
  double t = r.bt.v + r.t.v;
  if (t >= 268435456 && t < 9e12) tm_set_integer(WRITE_TIME, (i64)(t * 1e6 + 0.5)); /* 4.5.3: from 2^28 on it is absolute */
  else tm_set_number(WRITE_AGO, 0 - t);
  return true;
}

static void begin_record(void) {
  r.n.set = r.u.set = r.vs.set = r.vd.set = r.vb_set = false;
  r.v.set = r.s.set = r.t.set = r.ut.set = false;
  r.n.len = r.u.len = 0;
  r.t.v = 0;
}

static void begin_pack(void) {
  begin_record();
  r.bn.len = r.bu.len = 0;
  r.bt.v = r.bv.v = r.bs.v = 0;
}

static text *text_of(int field) {
  switch (field) {
    case BN: return &r.bn;
    case BU: return &r.bu;
    case N: return &r.n;
    case U: return &r.u;
    case VS: return &r.vs;
    case VD: return &r.vd;
  }
  return 0;
}

static num *num_of(int field) {
  static num version;
  switch (field) {
    case BT: return &r.bt;
    case BV: return &r.bv;
    case BS: return &r.bs;
    case BVER: return &version;
    case V: return &r.v;
    case S: return &r.s;
    case T: return &r.t;
    case UT: return &r.ut;
  }
  return 0;
}

/* number_set notes a number, which must be one: RFC 8428 has no NaN and no infinity. */
static bool number_set(int field, double v) {
  num *to = num_of(field);
  if (!(v - v == 0)) return bad("a number is not finite");
  if (field == BVER && v > 10) return bad("bver is over 10, which is another format");
  to->v = v;
  to->set = true;
  return true;
}

static bool utf8(const u8 *p, u32 n) {
  for (u32 i = 0; i < n;) {
    u32 c = p[i], more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : c >= 0xf0 && c < 0xf5 ? 3 : 9;
    if (more == 9 || i + more >= n) return false;
    if (more > 1) {
      u32 d = p[i + 1];
      if ((c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f) || (c == 0xf0 && d < 0x90) || (c == 0xf4 && d > 0x8f)) return false;
    }
    for (u32 k = 1; k <= more; k++)
      if ((p[i + k] & 0xc0) != 0x80) return false;
    i += more + 1;
  }
  return true;
}

/* ---- JSON */

static int json_field(tm_text name) {
  static const char *names[FIELDS] = {0, "bn", "bu", "bt", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut"};
  for (int f = 1; f < FIELDS; f++)
    if (tm_is(name, names[f])) return f;
  if (name.len && name.at[name.len - 1] == '_') return -1; /* 4.4: must be understood */
  return 0;
}

static bool json_record(json *j) {
  bool first = true;
  begin_record();
  json_open(j, '{');
  while (json_next(j, '}', &first)) {
    char key[32];
    tm_text name = {key, 0};
    if (!json_member(j, key, sizeof key, &name.len)) break;
    int field = json_field(name);
    text *to = text_of(field);
    double v = 0;
    if (field < 0) return bad("a field ends with _ and is not known: it must be understood");
    if (to) to->set = json_string(j, to->at, sizeof to->at, &to->len);
    else if (field == VB) r.vb_set = json_bool(j, &r.vb);
    else if (!field) json_skip(j);
    else if (json_number(j, &v) && !number_set(field, v)) return false;
  }
  return j->at ? done() : bad("it is no SenML in JSON");
}

static void read_json(tm_text in) {
  json j = {in.at, in.at + in.len, 0};
  bool first = true;
  begin_pack();
  if (!utf8((const u8 *)in.at, in.len)) bad("it is not UTF-8");
  json_open(&j, '[');
  while (!problem && json_next(&j, ']', &first))
    if (!json_record(&j)) return;
  if (!problem && (!j.at || json_peek(&j))) bad("it is no SenML in JSON");
}

/* ---- CBOR, RFC 8949 */

typedef struct { const u8 *at, *end; u32 depth; } cbor;
typedef struct { u32 major, info; u64 value; } head;

static bool cbor_head(cbor *c, head *h) {
  if (c->at >= c->end) return bad("the CBOR ends too early");
  u8 b = *c->at++;
  h->major = b >> 5;
  h->info = b & 31;
  h->value = h->info;
  if (h->info < 24 || h->info == 31) return true;
  if (h->info > 27) return bad("it is no CBOR");
  u32 n = 1u << (h->info - 24);
  if ((u32)(c->end - c->at) < n) return bad("the CBOR ends too early");
  for (h->value = 0; n; n--) h->value = h->value << 8 | *c->at++;
  return true;
}

static double half(u32 h) { /* RFC 8949, appendix D */
  double m = h & 1023;
  i32 e = h >> 10 & 31;
  if (e == 31) return 1e308 * 10;
  if (e) m += 1024;
  for (e = e ? e - 25 : -24; e < 0; e++) m /= 2;
  for (; e > 0; e--) m *= 2;
  return h & 0x8000 ? -m : m;
}

static bool cbor_number(cbor *c, double *v) {
  head h, part;
  if (!cbor_head(c, &h)) return false;
  if (h.info == 31) return bad("a number is wanted");
  if (h.major == 0) return *v = (double)h.value, true;
  if (h.major == 1) return *v = -1 - (double)h.value, true;
  if (h.major == 7 && h.info == 25) return *v = half((u32)h.value), true;
  if (h.major == 7 && h.info == 26) {
    union { u32 bits; float f; } x = {(u32)h.value};
    return *v = x.f, true;
  }
  if (h.major == 7 && h.info == 27) {
    union { u64 bits; double f; } x = {h.value};
    return *v = x.f, true;
  }
  if (h.major == 6 && h.value == 4) { /* a decimal fraction: 6 allows it */
    double e = 0, m = 0;
    if (!cbor_head(c, &part)) return false;
    if (part.major != 4 || part.value != 2 || ++c->depth > 16 || !cbor_number(c, &e) || !cbor_number(c, &m)) return bad("it is no decimal fraction");
    c->depth--;
    return *v = json__decimal(m, e > 400 ? 400 : e < -400 ? -400 : (i32)e), true;
  }
  return bad("a number is wanted");
}

/* cbor_text reads a text; bytes become base64url, as in JSON. */
static bool cbor_text(cbor *c, text *to, bool bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  head h;
  if (!cbor_head(c, &h)) return false;
  if (h.major != (bytes ? 2u : 3u) || h.info == 31) return bad("a text of known length is wanted");
  if (h.value > (u64)(c->end - c->at)) return bad("the CBOR ends too early");
  if (h.value > (bytes ? 192 : 256)) return bad("a text is longer than 256 bytes");
  u32 n = (u32)h.value;
  const u8 *p = c->at;
  c->at += n;
  to->set = true;
  to->len = 0;
  if (!bytes) {
    if (!utf8(p, n)) return bad("a text is not UTF-8");
    tm_copy(to->at, p, n);
    to->len = n;
    return true;
  }
  u32 have = 0, bits = 0;
  for (u32 i = 0; i < n; i++) {
    have = have << 8 | p[i];
    for (bits += 8; bits >= 6; bits -= 6) to->at[to->len++] = digits[have >> (bits - 6) & 63];
  }
  if (bits) to->at[to->len++] = digits[have << (6 - bits) & 63];
  return true;
}

static bool cbor_skip(cbor *c) {
  head h;
  if (c->depth > 16) return bad("it nests too deeply");
  if (!cbor_head(c, &h)) return false;
  u64 n = 0;
  switch (h.major) {
    case 2:
    case 3:
      if (h.info == 31 || h.value > (u64)(c->end - c->at)) return bad("a text of known length is wanted");
      c->at += h.value;
      return true;
    case 4: n = h.value; break;
    case 5: n = 2 * h.value; break;
    case 6: n = 1; break;
    default: return true;
  }
  if (h.info == 31 || n > (u64)(c->end - c->at)) return bad("a list of known length is wanted");
  for (c->depth++; n; n--)
    if (!cbor_skip(c)) return false;
  c->depth--;
  return true;
}

static int cbor_field(cbor *c) {
  static const int base[] = {BVER, BN, BT, BU, BV, BS}, plain[] = {N, U, V, VS, VB, S, T, UT, VD}; /* table 6: -1..-6, 0..8 */
  head h;
  if (c->at < c->end && *c->at >> 5 == 3) {
    static text name;
    if (!cbor_text(c, &name, false)) return -1;
    tm_text t = {name.at, name.len};
    return json_field(t);
  }
  if (!cbor_head(c, &h)) return -1;
  if (h.major == 0 && h.value < 9) return plain[h.value];
  if (h.major == 1 && h.value < 6) return base[h.value];
  return 0;
}

/* many tells whether another of n values comes; n of ~0 is a list that ends with a break. */
static bool many(cbor *c, u64 *n) {
  if (*n == ~0ull) {
    if (c->at >= c->end) return bad("the CBOR ends too early");
    if (*c->at != 0xff) return true;
    c->at++;
    return false;
  }
  return (*n)-- > 0;
}

static bool cbor_record(cbor *c) {
  head h;
  begin_record();
  if (!cbor_head(c, &h)) return false;
  if (h.major != 5) return bad("a record is a map");
  for (u64 n = h.info == 31 ? ~0ull : h.value; many(c, &n);) {
    int field = cbor_field(c);
    text *to = text_of(field);
    double v = 0;
    if (field < 0) return bad("a field ends with _ and is not known: it must be understood");
    if (to) {
      if (!cbor_text(c, to, field == VD)) return false;
    } else if (field == VB) {
      if (c->at >= c->end || (*c->at != 0xf4 && *c->at != 0xf5)) return bad("vb takes true or false");
      r.vb = *c->at++ == 0xf5;
      r.vb_set = true;
    } else if (!field) {
      if (!cbor_skip(c)) return false;
    } else if (!cbor_number(c, &v) || !number_set(field, v)) {
      return false;
    }
  }
  return !problem && done();
}

static void read_cbor(tm_text in) {
  cbor c = {(const u8 *)in.at, (const u8 *)in.at + in.len, 0};
  head h;
  begin_pack();
  if (!cbor_head(&c, &h)) return;
  if (h.major != 4) {
    bad("it is no SenML: neither a JSON list nor a CBOR array");
    return;
  }
  for (u64 n = h.info == 31 ? ~0ull : h.value; many(&c, &n);)
    if (!cbor_record(&c)) return;
  if (c.at != c.end) bad("something stands behind the pack");
}

static void row(void) {
  tm_text in = tm_string(READ_PAYLOAD);
  json j = {in.at, in.at + in.len, 0};
  bool is_json = json_peek(&j) == '[';
  problem = 0;
  records = 0;
  for (int pass = 0; pass < 2 && !problem; pass++) {
    writing = pass == 1;
    if (is_json) read_json(in);
    else read_cbor(in);
  }
  if (problem) tm_reject(problem);
}
TM_EACH_ROW(row)
