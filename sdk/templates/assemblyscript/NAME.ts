import * as tm from "./tidemill";
import { READ_SETPOINT, READ_TEMP, STATE_MEAN, STATE_ROWS, WRITE_OVER, WRITE_STATE } from "./plugin"; // from plugin.hcl
export { tidemill_alloc } from "./tidemill";

function row(): void {
  if (tm.isNull(READ_TEMP) || tm.isNull(READ_SETPOINT)) {
    tm.reject("temp and setpoint are needed");
    return;
  }
  const temp = tm.number(READ_TEMP);
  const rows = tm.stateInteger(STATE_ROWS);
  let mean = tm.stateNumber(STATE_MEAN);
  mean = rows == 0 ? temp : mean + (temp - mean) / 10;
  tm.setStateNumber(STATE_MEAN, mean);
  tm.setStateInteger(STATE_ROWS, rows + 1);

  const over = mean - tm.number(READ_SETPOINT);
  tm.setNumber(WRITE_OVER, over);
  tm.setText(WRITE_STATE, over > tm.configNumber("limit", 3) ? "warm" : "ok");
}

export function tidemill_run(batch: usize): usize {
  return tm.eachRow(batch, row);
}
