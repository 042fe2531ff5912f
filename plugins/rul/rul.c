/* rul: remaining useful life by a small network over smoothed sensors. train/ fits it and writes weights.h. */
#include "plugin.h"
#include "weights.h"

static void smooth(double *kept, double *weight, double rate, double *to) {
  *weight += rate * (1 - *weight);
  for (int i = 0; i < SENSORS; i++) {
    double v = (tm_number(READ_S2 + i) - MEAN[i]) / DEV[i];
    kept[i] += rate * (v - kept[i]);
    to[i] = kept[i] / *weight;
  }
}

static void row(void) {
  for (int i = 0; i < SENSORS; i++) {
    double v = (tm_number(READ_S2 + i) - MEAN[i]) / DEV[i];
    if (tm_is_null(READ_S2 + i) || !(v > -50 && v < 50)) {
      tm_reject(tm_is_null(READ_S2 + i) ? "a sensor has no value" : "a sensor is far outside of what the model has seen");
      return;
    }
  }
  i64 *rows = tm_state_integer(STATE_ROWS);
  ++*rows;
  *tm_state_length(STATE_FAST) = *tm_state_length(STATE_SLOW) = 8 * SENSORS;
  double x[INPUTS];
  smooth((double *)tm_state_bytes(STATE_FAST), tm_state_number(STATE_WFAST), FAST, x);
  smooth((double *)tm_state_bytes(STATE_SLOW), tm_state_number(STATE_WSLOW), SLOW, x + SENSORS);
  double cycle = tm_is_null(READ_CYCLE) ? (double)*rows : tm_number(READ_CYCLE);
  x[2 * SENSORS] = (cycle > 0 && cycle < 1000 ? cycle : cycle > 0 ? 1000 : 0) / 100;

  double y = B2[0];
  for (int j = 0; j < HIDDEN; j++) {
    double a = B1[j];
    for (int i = 0; i < INPUTS; i++) a += W1[j * INPUTS + i] * x[i];
    if (a > 0) y += W2[j] * a;
  }
  tm_set_number(WRITE_RUL, MOST * (y < 0 ? 0 : y > 1 ? 1 : y));
}
TM_EACH_ROW(row)
