/* json.h: reads JSON (RFC 8259) as a stream, for plugins in C. Include it behind plugin.h.
 *
 * A reader stands at a value. json_number and the like read it and stand behind it; json_next walks the
 * members of objects and arrays. After a mistake .at is 0, and everything reads as nothing.
 */
typedef struct { const char *at, *end; u32 depth; } json;

static void json__space(json *j) {
  while (j->at && j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

/* json_peek is the first character of what comes: { [ " t f n - or a digit; 0 at the end. */
static char json_peek(json *j) {
  json__space(j);
  return j->at && j->at < j->end ? *j->at : 0;
}

static bool json__take(json *j, char c) {
  if (json_peek(j) != c) return false;
  j->at++;
  return true;
}

static bool json__word(json *j, const char *word) {
  u32 n = tm_length(word);
  json__space(j);
  if (!j->at || (u32)(j->end - j->at) < n) return false;
  for (u32 i = 0; i < n; i++)
    if (j->at[i] != word[i]) return false;
  j->at += n;
  return true;
}

static bool json__fail(json *j) {
  j->at = 0;
  return false;
}

/* decimal is mantissa * 10^exp: exact up to 15 digits and |exp| of 22 (Clinger 1990), else within an ulp or two. */
static double json__decimal(double mantissa, i32 exp) {
  static const double tens[] = {1,    1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (exp < -400) exp = -400;
  if (exp > 400) exp = 400;
  for (; exp > 22; exp -= 22) mantissa *= 1e22;
  for (; exp < -22; exp += 22) mantissa /= 1e22;
  return exp < 0 ? mantissa / tens[-exp] : mantissa * tens[exp];
}

static bool json_number(json *j, double *v) {
  json__space(j);
  const char *p = j->at;
  if (!p) return false;
  bool minus = p < j->end && *p == '-';
  p += minus;
  double m = 0;
  i32 exp = 0, digits = 0;
  for (; p < j->end && *p >= '0' && *p <= '9'; p++, digits++)
    if (m < 1e17) m = m * 10 + (*p - '0');
    else exp++;
  if (!digits) return json__fail(j);
  if (p < j->end && *p == '.')
    for (p++; p < j->end && *p >= '0' && *p <= '9'; p++)
      if (m < 1e17) m = m * 10 + (*p - '0'), exp--;
  if (p < j->end && (*p == 'e' || *p == 'E')) {
    p++;
    bool down = p < j->end && *p == '-';
    p += p < j->end && (*p == '-' || *p == '+');
    i32 e = 0;
    for (; p < j->end && *p >= '0' && *p <= '9'; p++)
      if (e < 10000) e = e * 10 + (*p - '0');
    exp += down ? -e : e;
  }
  j->at = p;
  *v = json__decimal(minus ? -m : m, exp);
  return true;
}

static u32 json__hex(const char *p) {
  u32 v = 0;
  for (u32 i = 0; i < 4; i++) {
    char c = p[i];
    u32 d = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
    if (d == 99) return 0xffffffff;
    v = v << 4 | d;
  }
  return v;
}

/* json_string reads a text into room bytes and gives its length; a text that is longer is a mistake. */
static bool json_string(json *j, char *to, u32 room, u32 *len) {
  if (!json__take(j, '"')) return json__fail(j);
  u32 n = 0;
  while (j->at < j->end && *j->at != '"') {
    u32 c = (u8)*j->at++;
    if (c == '\\') {
      if (j->at >= j->end) return json__fail(j);
      char e = *j->at++;
      c = e == 'n' ? '\n' : e == 't' ? '\t' : e == 'r' ? '\r' : e == 'b' ? '\b' : e == 'f' ? '\f' : (u8)e;
      if (e == 'u') {
        if (j->end - j->at < 4 || (c = json__hex(j->at)) == 0xffffffff) return json__fail(j);
        j->at += 4;
        if (c >= 0xd800 && c < 0xdc00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u') {
          u32 low = json__hex(j->at + 2);
          if (low >= 0xdc00 && low < 0xe000) c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00), j->at += 6;
        }
        if (c >= 0xd800 && c < 0xe000) c = 0xfffd;
        if (n + 4 > room) return json__fail(j);
        if (c < 0x80) to[n++] = (char)c;
        else if (c < 0x800) to[n++] = (char)(0xc0 | c >> 6), to[n++] = (char)(0x80 | (c & 63));
        else if (c < 0x10000) to[n++] = (char)(0xe0 | c >> 12), to[n++] = (char)(0x80 | (c >> 6 & 63)), to[n++] = (char)(0x80 | (c & 63));
        else to[n++] = (char)(0xf0 | c >> 18), to[n++] = (char)(0x80 | (c >> 12 & 63)), to[n++] = (char)(0x80 | (c >> 6 & 63)), to[n++] = (char)(0x80 | (c & 63));
        continue;
      }
    }
    if (n >= room) return json__fail(j);
    to[n++] = (char)c;
  }
  if (j->at >= j->end) return json__fail(j);
  j->at++;
  *len = n;
  return true;
}

static bool json_bool(json *j, bool *v) {
  *v = json__word(j, "true");
  return *v || json__word(j, "false") || json__fail(j);
}

/* json_open begins an object '{' or an array '['; json_next says whether another member comes, and ends it. first
 * is true at the first call. */
static bool json_open(json *j, char bracket) {
  if (++j->depth > 32 || !json__take(j, bracket)) return json__fail(j);
  return true;
}
static bool json_next(json *j, char closing, bool *first) {
  if (!j->at) return false;
  if (json__take(j, closing)) {
    j->depth--;
    return false;
  }
  if (!*first && !json__take(j, ',')) return json__fail(j);
  *first = false;
  return true;
}

/* json_member reads a member's name and the colon. */
static bool json_member(json *j, char *to, u32 room, u32 *len) { return json_string(j, to, room, len) && (json__take(j, ':') || json__fail(j)); }

/* json_skip steps over any value. */
static void json_skip(json *j) {
  char c = json_peek(j);
  if (c == '"') {
    for (j->at++; j->at < j->end && *j->at != '"'; j->at++)
      if (*j->at == '\\') j->at++;
    if (j->at >= j->end) { json__fail(j); return; }
    j->at++;
  } else if (c == '{' || c == '[') {
    bool first = true, object = c == '{';
    json_open(j, c);
    while (json_next(j, object ? '}' : ']', &first)) {
      if (object) {
        json_skip(j);
        if (!json__take(j, ':')) json__fail(j);
      }
      json_skip(j);
    }
  } else {
    double v;
    if (!json__word(j, "true") && !json__word(j, "false") && !json__word(j, "null")) json_number(j, &v);
  }
}
