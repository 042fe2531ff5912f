/* refrigerant_health 2: the same as version 1, which is in Go, at a hundredth of its size and a fraction of its cost a row.
 *
 * State, columns and arguments are those of version 1, so that either goes on from what the other has learned
 * of a unit. Why it reckons as it does stands in plugins/refrigerant_health/main.go.
 */
#include "plugin.h"

#define HOUR 3600e6 /* us */

static double full_load, pull_down, memory, gap;

static double most(double a, double b) { return a > b ? a : b; }
static double least(double a, double b) { return a < b ? a : b; }
static double between(double low, double v, double high) { return least(most(v, low), high); }

static void init(void) {
  full_load = most(tm_config_number("full_load", 55), 1);
  pull_down = most(tm_config_number("pull_down", 6), 0.1);
  memory = most(tm_config_number("memory", 6), 0.01);
  gap = most(tm_config_number("gap", 0.5), 0.001);
}
TM_INIT(init)

/* 1 - exp(-x) for x of 0 and more: halved until its series ends quickly, as 1 - e^-2y = (1 - e^-y) (1 + e^-y). */
static double decayed(double x) {
  int halvings = 0;
  if (!(x < 700)) return 1;
  for (; x > 0.01; x /= 2) halvings++;
  double term = x, sum = x;
  for (int i = 2; i < 9; i++) sum += term *= -x / i;
  for (; halvings > 0; halvings--) sum *= 2 - sum;
  return sum;
}

static bool sensible(double v) { return v > -100 && v < 100; }

/* Whether the compressor runs: said, or told from the temperature. */
static bool runs(bool known, double hours, double temp, double before, double setpoint) {
  if (!tm_is_null(READ_COMPRESSOR)) return tm_bool(READ_COMPRESSOR);
  if (temp > setpoint + 1) return true;
  return known && hours > 0 && (temp - before) / hours < -0.2;
}

static void learn(double hours, double temp, double before, double ambient, double setpoint) {
  bool ran = *tm_state_integer(STATE_RUNNING) == 1;
  double part = decayed(hours / memory);
  double *duty = tm_state_number(STATE_DUTY), *expected = tm_state_number(STATE_EXPECTED), *weight = tm_state_number(STATE_WEIGHT);
  *duty += part * ((ran ? 1 : 0) - *duty);
  *expected += part * (between(0.02, (ambient - temp) / full_load, 1) - *expected);
  *weight += part * (1 - *weight);
  *tm_state_number(STATE_HOURS) += hours;
  if (ran && before > setpoint + 3) {
    double *pull = tm_state_number(STATE_PULL), *pulled = tm_state_number(STATE_PULLED);
    *pull += part * ((before - temp) / hours - *pull);
    *pulled += part * (1 - *pulled);
  }
}

/* Adds the time since the last row to what is known of the unit. */
static void observe(i64 now, double temp, double ambient, double setpoint) {
  i64 *last = tm_state_integer(STATE_LAST);
  double *before = tm_state_number(STATE_TEMP), hours = (double)(now - *last) / HOUR;
  bool known = *last != 0;
  if (known && hours <= 0) return; /* late, or twice: it has been judged */
  bool running = runs(known, hours, temp, *before, setpoint);
  if (known && hours <= gap) learn(hours, temp, *before, ambient, setpoint);
  *last = now;
  *before = temp;
  *tm_state_integer(STATE_RUNNING) = running;
}

static void answer(void) {
  double weight = *tm_state_number(STATE_WEIGHT), pulled = *tm_state_number(STATE_PULLED);
  if (weight == 0) return;
  double duty = *tm_state_number(STATE_DUTY) / weight, expected = *tm_state_number(STATE_EXPECTED) / weight;
  tm_set_number(WRITE_DUTY, duty);
  tm_set_number(WRITE_EXPECTED, expected);
  double score = 100 * between(0, 1 - 1.5 * most(0, duty - expected - 0.1), 1);
  bool enough = *tm_state_number(STATE_HOURS) >= 1;
  if (pulled > 0) tm_set_number(WRITE_PULL_DOWN, *tm_state_number(STATE_PULL) / pulled);
  if (pulled >= decayed(0.25 / memory)) {
    enough = true;
    score = 100 * between(0, *tm_state_number(STATE_PULL) / pulled / pull_down, 1);
  }
  if (enough) tm_set_number(WRITE_SCORE, score);
}

static void row(void) {
  double temp = tm_number(READ_TEMP), ambient = tm_number(READ_AMBIENT), setpoint = tm_number(READ_SETPOINT);
  if (tm_is_null(READ_TEMP) || tm_is_null(READ_AMBIENT) || tm_is_null(READ_SETPOINT)) {
    tm_reject("temp, ambient and setpoint are needed");
  } else if (!sensible(temp) || !sensible(ambient) || !sensible(setpoint)) {
    tm_reject("a temperature is not between -100 and 100 degrees Celsius");
  } else if (tm_is_null(READ_TIME)) {
    tm_reject("there is no time");
  } else {
    if (tm_is_null(READ_DOOR_OPEN) || !tm_bool(READ_DOOR_OPEN)) observe(tm_integer(READ_TIME), temp, ambient, setpoint);
    answer();
  }
}
TM_EACH_ROW(row)
