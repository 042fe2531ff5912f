// Made from plugin.hcl by tidemill plugin build. Changes here are lost.
export const KIND: i32 = 0x65; // enrich
export const WRITES: string = "g";
export const STATE: string = "";
export const STATE_MAX: StaticArray<i32> = [0];
export const READ_VALUE: i32 = 0;
export const READ_UNIT: i32 = 1;
export const WRITE_CONVERTED: i32 = 0;
