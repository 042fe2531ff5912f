import * as tm from "./tidemill";
import { READ_TEMP, STATE_NOTE, STATE_TOTAL, WRITE_TOTAL } from "./plugin";
export { tidemill_alloc } from "./tidemill";

function key(): void {
  tm.setStateNumber(STATE_TOTAL, 10 * <f64>tm.oldInteger(1) + tm.oldNumber(2) + <f64>tm.oldVersion());
  memory.copy(tm.stateBytesAt(STATE_NOTE), tm.oldBytesAt(0), tm.oldLength(0));
  tm.setStateLength(STATE_NOTE, tm.oldLength(0));
}

function row(): void {
  tm.setStateNumber(STATE_TOTAL, tm.stateNumber(STATE_TOTAL) + tm.number(READ_TEMP));
  tm.setNumber(WRITE_TOTAL, tm.stateNumber(STATE_TOTAL));
}

export function tidemill_run(batch: usize): usize { return tm.eachRow(batch, row); }
export function tidemill_migrate(batch: usize): i32 { return tm.migrate(batch, key); }
