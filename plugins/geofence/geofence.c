/* geofence: which area a position is in, with entry, exit and dwell by key.
 *
 * A ring is tested by crossings of a ray (even-odd rule; Shimrat 1962, CACM algorithm 112), behind a box.
 * Rings across the 180th meridian are to be cut in two. A circle is tested on a plane that touches at its
 * centre, which is right to 0.1 % for radii up to 50 km below 70 degrees of latitude.
 */
#include "plugin.h"
#include "../json.h"

#define NAME 64

typedef struct area {
  struct area *next;
  char name[NAME];
  u32 name_len, points;
  double *lon, *lat; /* of the ring */
  double west, east, south, north;
  double radius, at_lon, at_lat, scale; /* of a circle; scale: cosine of its latitude */
} area;

static area *areas;
static double settle;

/* cosine of degrees, by its series; good to 1e-9 between -90 and 90. */
static double cosine(double degrees) {
  double x = degrees * 0.017453292519943295, y = x * x, term = 1, sum = 1;
  for (int i = 1; i < 12; i++) sum += term *= -y / ((2 * i - 1) * (2 * i));
  return sum;
}

static bool pair(json *j, double *a, double *b) {
  bool first = true;
  if (!json_open(j, '[')) return false;
  double *to[2] = {a, b};
  int n = 0;
  while (json_next(j, ']', &first)) {
    if (n == 2) return json__fail(j); /* no altitudes */
    if (!json_number(j, to[n++])) return false;
  }
  return n == 2;
}

static void ring(json *j, area *a) {
  u32 room = 0;
  bool first = true;
  json_open(j, '[');
  while (json_next(j, ']', &first)) {
    if (a->points == room) {
      u32 want = room ? 2 * room : 16;
      double *lon = tm_alloc(8 * want), *lat = tm_alloc(8 * want);
      tm_copy(lon, a->lon, 8 * room);
      tm_copy(lat, a->lat, 8 * room);
      a->lon = lon;
      a->lat = lat;
      room = want;
    }
    double lon = 0, lat = 0;
    if (!pair(j, &lon, &lat)) tm_fail("areas: a ring is a list of [lon, lat]");
    if (!a->points || lon < a->west) a->west = lon;
    if (!a->points || lon > a->east) a->east = lon;
    if (!a->points || lat < a->south) a->south = lat;
    if (!a->points || lat > a->north) a->north = lat;
    a->lon[a->points] = lon;
    a->lat[a->points++] = lat;
  }
  if (a->points < 3) tm_fail("areas: a ring has three points at least");
}

static void one_area(json *j, area *a) {
  bool first = true;
  json_open(j, '{');
  while (json_next(j, '}', &first)) {
    char name[16];
    tm_text key = {name, 0};
    if (!json_member(j, name, sizeof name, &key.len)) break;
    if (tm_is(key, "name")) json_string(j, a->name, NAME, &a->name_len);
    else if (tm_is(key, "ring")) ring(j, a);
    else if (tm_is(key, "radius")) json_number(j, &a->radius);
    else if (tm_is(key, "center")) {
      if (!pair(j, &a->at_lon, &a->at_lat)) tm_fail("areas: a center is [lon, lat]");
      a->scale = cosine(a->at_lat);
    } else tm_fail("areas: an area has name and ring, or name, center and radius");
  }
  if (j->at && (!a->name_len || !a->points == !(a->radius > 0))) tm_fail("areas: an area has name (at most 64 bytes) and ring, or name, center and radius");
}

static void init(void) {
  settle = tm_config_number("settle", 1);
  tm_text text = tm_config_text("areas");
  json j = {text.at, text.at + text.len, 0};
  bool first = true;
  area **last = &areas;
  json_open(&j, '[');
  while (json_next(&j, ']', &first)) {
    area *a = tm_alloc(sizeof *a);
    tm_fill(a, 0, sizeof *a);
    one_area(&j, a);
    *last = a;
    last = &a->next;
  }
  if (!j.at) tm_fail("areas: a list is wanted: [{\"name\": ..., \"ring\": [[lon, lat], ...]}]");
}
TM_INIT(init)

static bool inside(const area *a, double lon, double lat) {
  if (!a->points) {
    double x = (lon - a->at_lon) * a->scale * 111320, y = (lat - a->at_lat) * 111320;
    return x * x + y * y <= a->radius * a->radius;
  }
  if (lon < a->west || lon > a->east || lat < a->south || lat > a->north) return false;
  bool in = false;
  for (u32 i = 0, k = a->points - 1; i < a->points; k = i++)
    if ((a->lat[i] > lat) != (a->lat[k] > lat) && lon < (a->lon[k] - a->lon[i]) * (lat - a->lat[i]) / (a->lat[k] - a->lat[i]) + a->lon[i]) in = !in;
  return in;
}

static tm_text kept(int column) {
  tm_text t = {(const char *)tm_state_bytes(column), *tm_state_length(column)};
  return t;
}

static void keep(int column, tm_text t) {
  tm_copy(tm_state_bytes(column), t.at, t.len);
  *tm_state_length(column) = t.len;
}

static void row(void) {
  double lat = tm_number(READ_LAT), lon = tm_number(READ_LON);
  if (tm_is_null(READ_LAT) || tm_is_null(READ_LON) || !(lat >= -90 && lat <= 90 && lon >= -180 && lon <= 180)) {
    tm_reject("there is no position between -90 and 90 north, -180 and 180 east");
    return;
  }
  if (tm_is_null(READ_TIME)) {
    tm_reject("there is no time");
    return;
  }
  i64 now = tm_integer(READ_TIME);
  const area *a = areas;
  while (a && !inside(a, lon, lat)) a = a->next;
  tm_text seems = {a ? a->name : "", a ? a->name_len : 0}, is = kept(STATE_AREA);
  i64 *since = tm_state_integer(STATE_SINCE), *count = tm_state_integer(STATE_COUNT), *arrived = tm_state_integer(STATE_ARRIVED);
  if (tm_same(seems, is)) {
    *count = 0;
  } else {
    if (*count == 0 || !tm_same(seems, kept(STATE_NEXT))) {
      keep(STATE_NEXT, seems);
      *count = 0;
      *arrived = now;
    }
    if (++*count >= settle) { /* it has moved, when the first of these rows came */
      if (is.len) {
        tm_set_text(WRITE_LEFT, is.at, is.len);
        if (!seems.len) tm_set_number(WRITE_DWELL, (double)(*arrived - *since) / 1e6);
      }
      tm_set_string(WRITE_EVENT, !is.len ? "enter" : seems.len ? "move" : "exit");
      keep(STATE_AREA, seems);
      *since = *arrived;
      *count = 0;
    }
  }
  is = kept(STATE_AREA);
  if (is.len) {
    tm_set_text(WRITE_AREA, is.at, is.len);
    tm_set_number(WRITE_DWELL, (double)(now - *since) / 1e6);
  }
}
TM_EACH_ROW(row)
