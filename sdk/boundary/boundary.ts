// Four numbers in, one out, whole columns at once.
import * as tm from "./tidemill";
import { READ_GAIN, READ_OFFSET, READ_SETPOINT, READ_TEMP, WRITE_OVER } from "./plugin";
export { tidemill_alloc } from "./tidemill";

function whole(): void {
  const temp = tm.numbersAt(READ_TEMP), setpoint = tm.numbersAt(READ_SETPOINT);
  const gain = tm.numbersAt(READ_GAIN), offset = tm.numbersAt(READ_OFFSET), out = tm.outNumbersAt(WRITE_OVER);
  const end: usize = <usize>tm.rows() << 3;
  for (let i: usize = 0; i < end; i += 8) {
    store<f64>(out + i, (load<f64>(temp + i) - load<f64>(setpoint + i)) * load<f64>(gain + i) + load<f64>(offset + i));
  }
}

export function tidemill_run(batch: usize): usize {
  return tm.eachBatch(batch, whole);
}
