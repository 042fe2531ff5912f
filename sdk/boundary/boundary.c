/* Four numbers in, one out, whole columns at once; and the same of a message in JSON, to compare with. */
#include "plugin.h"

static double over(double temp, double setpoint, double gain, double offset) { return (temp - setpoint) * gain + offset; }

static void batch(void) {
  const double *temp = tm_numbers(READ_TEMP), *setpoint = tm_numbers(READ_SETPOINT);
  const double *gain = tm_numbers(READ_GAIN), *offset = tm_numbers(READ_OFFSET);
  double *out = tm_out_numbers(WRITE_OVER);
  for (u32 i = 0; i < tm_rows; i++) out[i] = over(temp[i], setpoint[i], gain[i], offset[i]);
  tm_no_nulls(WRITE_OVER);
}
TM_EACH_BATCH(batch)

/* ---- a message a call: {"device":"...","temp":1.5,...} in, the same with "over" behind it out ---- */

static char message[4096];

TM_EXPORT(message_at) char *message_place(void) { return message; }

/* number finds a member by its name, quotes and colon included, and reads its value: digits, a point, digits. */
static double number(const char *name, u32 n, u32 len) {
  for (u32 at = 0; at + n < len; at++) {
    u32 same = 0;
    while (same < n && message[at + same] == name[same]) same++;
    if (same < n) continue;
    const char *p = message + at + n;
    double sign = *p == '-' ? -1 : 1, value = 0, scale = 1;
    if (*p == '-') p++;
    for (; *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0');
    if (*p == '.')
      for (p++; *p >= '0' && *p <= '9'; p++) value = value * 10 + (*p - '0'), scale *= 10;
    return sign * value / scale;
  }
  return 0;
}

static u32 print(char *to, double v) { /* three digits behind the point */
  u32 n = 0, digits = 0;
  char text[24];
  if (v < 0) to[n++] = '-', v = -v;
  u64 whole = (u64)(v * 1000 + 0.5);
  do text[digits++] = (char)('0' + whole % 10), whole /= 10;
  while (whole || digits < 4);
  while (digits) {
    to[n++] = text[--digits];
    if (digits == 3) to[n++] = '.';
  }
  return n;
}

#define MEMBER(name) number("\"" name "\":", sizeof(name) + 2, len)

TM_EXPORT(message_run) u32 message_run(u32 len) {
  double v = over(MEMBER("temp"), MEMBER("setpoint"), MEMBER("gain"), MEMBER("offset"));
  char *end = message + len - 1; /* over the closing brace */
  tm_copy(end, ",\"over\":", 8);
  end += 8;
  end += print(end, v);
  *end++ = '}';
  return (u32)(end - message);
}
