// Write a Tidemill plugin in AssemblyScript. The contract below it is sdk/ABI.md.
//
//   import * as tm from "./tidemill";
//   import { READ_TEMP, STATE_MEAN, WRITE_OVER } from "./plugin"; // made from plugin.hcl by `tidemill plugin build`
//   export { tidemill_alloc } from "./tidemill";
//
//   function row(): void {
//     if (tm.isNull(READ_TEMP)) {
//       tm.reject("there is no temperature");
//       return;
//     }
//     const mean = tm.stateNumber(STATE_MEAN) * 0.9 + tm.number(READ_TEMP) * 0.1;
//     tm.setStateNumber(STATE_MEAN, mean);
//     tm.setNumber(WRITE_OVER, mean - tm.configNumber("limit", 3));
//   }
//
//   export function tidemill_run(batch: usize): usize {
//     return tm.eachRow(batch, row);
//   }
//
// enrich and score: a row has one answer; what is not set is null. transform and decode: emit() begins
// an output row; a row without one is dropped.
//
// Whole columns at once, for speed: eachBatch(), rows(), numbersAt(), validAt(), outNumbersAt(), which give
// places for load<f64>() and store<f64>().
//
// Globals last until the instance ends, which may be at any time: what has to last longer is state. What
// was allocated is collected between batches.

import { KIND, STATE, STATE_MAX, WRITES } from "./plugin";

export const DEBUG = 0;
export const INFO = 1;
export const WARNING = 2;
export const ERROR = 3;

// @ts-ignore: decorator
@external("tidemill", "log")
declare function hostLog(level: i32, text: usize, len: i32): void;
// @ts-ignore: decorator
@external("tidemill", "config_number")
declare function hostConfigNumber(name: usize, len: i32): f64;
// @ts-ignore: decorator
@external("tidemill", "config_text")
declare function hostConfigText(name: usize, len: i32, to: usize, room: i32): i32;
// @ts-ignore: decorator
@external("tidemill", "fail")
declare function hostFail(text: usize, len: i32): void;

/** Writes a line for the operator. */
export function log(level: i32, text: string): void {
  const b = String.UTF8.encode(text);
  hostLog(level, changetype<usize>(b), b.byteLength);
}

/** An argument of the plugin block; otherwise when it was not given. */
export function configNumber(name: string, otherwise: f64): f64 {
  const b = String.UTF8.encode(name);
  const v = hostConfigNumber(changetype<usize>(b), b.byteLength);
  return isNaN(v) ? otherwise : v;
}

/** An argument's text; all but strings as JSON. null when it was not given. */
export function configText(name: string): string | null {
  const b = String.UTF8.encode(name);
  const n = hostConfigText(changetype<usize>(b), b.byteLength, 0, 0);
  if (n < 0) return null;
  const text = new ArrayBuffer(n);
  hostConfigText(changetype<usize>(b), b.byteLength, changetype<usize>(text), n);
  return String.UTF8.decode(text);
}

/** Gives the row up, and the instance: for what must not happen. For a row that makes no sense, reject. */
export function fail(text: string): void {
  const b = String.UTF8.encode(text);
  hostFail(changetype<usize>(b), b.byteLength);
  unreachable();
}

/** What the compiler calls for a failed assertion, an index out of range and the like. */
export function abort(message: string | null, file: string | null, line: u32, column: u32): void {
  fail((message ? message : "abort") + " (" + (file ? file : "") + ":" + line.toString() + ")");
}

// ---- what crosses

@unmanaged class Arr {
  length: i64;
  nullCount: i64;
  offset: i64;
  nBuffers: i64;
  nChildren: i64;
  buffers: usize;
  children: usize;
  dictionary: u32;
  release: u32;
  privateData: u32;
  padding: u32;
}

@unmanaged class Batch {
  rowsSchema: usize;
  rows: Arr;
  keys: usize;
  stateSchema: usize;
  state: Arr;
  oldSchema: usize;
  old: Arr;
  oldVersion: u32;
}

/** A column that goes out. data holds values, bits, or where strings end. */
@unmanaged class Column {
  format: i32;
  valid: usize;
  data: usize;
  text: usize;
  textLen: i32;
  textRoom: i32;
  arr: Arr;
  buffers: usize;
}

const U: i32 = 0x75, B: i32 = 0x62, W: i32 = 0x77, T: i32 = 0x74, D: i32 = 0x64;
const MANY: bool = KIND == T || KIND == D;
const COLUMNS: i32 = WRITES.length;

function zeroed(n: usize): usize {
  const p = heap.alloc(n);
  memory.fill(p, 0, n);
  return p;
}

function newColumn(format: i32): usize {
  const c = changetype<Column>(zeroed(offsetof<Column>()));
  c.format = format;
  c.arr = changetype<Arr>(zeroed(offsetof<Arr>()));
  c.buffers = zeroed(12);
  return changetype<usize>(c);
}

function newColumns(): usize {
  const p = zeroed(4 * COLUMNS + 4);
  for (let i = 0; i < COLUMNS; i++) store<usize>(p + 4 * i, newColumn(WRITES.charCodeAt(i)));
  return p;
}

const out: usize = newColumns();
const reasons: Column = changetype<Column>(newColumn(U));
const top: Arr = changetype<Arr>(zeroed(offsetof<Arr>()));
const rowArr: Arr = changetype<Arr>(zeroed(offsetof<Arr>()));
const rowBuffers: usize = zeroed(8);
const none: usize = zeroed(4);
const children: usize = zeroed(4 * COLUMNS + 8);
const answer: usize = zeroed(16);

let batch: Batch = changetype<Batch>(0);
let current: i32 = 0; // the input row under way
let count: i32 = 0; // input rows
let n: i32 = 0; // output rows, the one under way among them
let first: i32 = 0; // the first of the input row under way
let size: i32 = 0; // output rows that there is room for
let reasonsSize: i32 = 0;
let refused: bool = false;
let anyRejected: bool = false;
let from: usize = 0; // _row
let region: usize = 0;
let room: i32 = 0;

export function tidemill_alloc(want: i32): usize {
  if (want > room) {
    if (region) heap.free(region);
    region = heap.alloc(want + want / 2);
    room = want + want / 2;
  }
  return region;
}

// @ts-ignore: decorator
@inline function column(i: i32): Column { return changetype<Column>(load<usize>(out + 4 * i)); }

// @ts-ignore: decorator
@inline function buffer(array: Arr, child: i32, i: i32): usize {
  return load<usize>(changetype<Arr>(load<usize>(array.children + 4 * child)).buffers + 4 * i);
}

// ---- whole columns

/** Input rows of the batch. */
export function rows(): i32 { return count; }

/** Where the values of a column stand: numbers and integers 8 bytes each; 0 under a null. */
export function numbersAt(i: i32): usize { return buffer(batch.rows, i, 1); }

/** Where the validity of a column stands: bit i & 7 of byte i >> 3. 0: no value is null. */
export function validAt(i: i32): usize { return buffer(batch.rows, i, 0); }

/** Where a column of an enrich or score is to be written; all of it counts as not null. */
export function outNumbersAt(i: i32): usize {
  memory.fill(column(i).valid, 255, (count + 7) / 8);
  return column(i).data;
}

// ---- values of the row

export function isNull(i: i32): bool {
  const v = buffer(batch.rows, i, 0);
  return v != 0 && !((load<u8>(v + (current >> 3)) >> <u8>(current & 7)) & 1);
}

/** The row's value; 0 under a null. */
export function number(i: i32): f64 { return load<f64>(buffer(batch.rows, i, 1) + 8 * current); }

/** Integers, and timestamps in microseconds since 1970. */
export function integer(i: i32): i64 { return load<i64>(buffer(batch.rows, i, 1) + 8 * current); }

export function boolean(i: i32): bool {
  return <bool>((load<u8>(buffer(batch.rows, i, 1) + (current >> 3)) >> <u8>(current & 7)) & 1);
}

/** Where a string's or payload's bytes stand, until the batch ends. */
export function bytesAt(i: i32): usize {
  return buffer(batch.rows, i, 2) + load<u32>(buffer(batch.rows, i, 1) + 4 * current);
}

export function bytesLength(i: i32): i32 {
  const ends = buffer(batch.rows, i, 1) + 4 * current;
  return load<i32>(ends, 4) - load<i32>(ends);
}

/** The row's text; "" under a null. */
export function text(i: i32): string { return String.UTF8.decodeUnsafe(bytesAt(i), bytesLength(i)); }

// ---- state of the row's key, all zero at first

function stateAt(i: i32, second: i32): usize {
  let child = i + second;
  for (let k = 0; k < i; k++) if (STATE.charCodeAt(k) == W) child++; // bytes take two columns
  return buffer(batch.state, child, 1);
}

function key(): u32 { return single ? current : load<u32>(batch.keys + 4 * current); }

export function stateNumber(i: i32): f64 { return load<f64>(stateAt(i, 0) + 8 * key()); }
export function setStateNumber(i: i32, v: f64): void { store<f64>(stateAt(i, 0) + 8 * key(), v); }
export function stateInteger(i: i32): i64 { return load<i64>(stateAt(i, 0) + 8 * key()); }
export function setStateInteger(i: i32, v: i64): void { store<i64>(stateAt(i, 0) + 8 * key(), v); }

/** Where the key's bytes stand: as many as the manifest says, stateLength() of them in use. */
export function stateBytesAt(i: i32): usize { return stateAt(i, 0) + STATE_MAX[i] * key(); }
export function stateLength(i: i32): i32 { return load<i32>(stateAt(i, 1) + 4 * key()); }
export function setStateLength(i: i32, v: i32): void { store<i32>(stateAt(i, 1) + 4 * key(), v); }

// ---- what the row becomes

/** Begins an output row of a transform or decoder; what is set next is set in it. */
export function emit(): void {
  if (MANY && !refused) beginRow();
}

function mark(valid: usize, row: i32): void {
  const at = valid + (row >> 3);
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(row & 7)));
}

function unmark(valid: usize, row: i32): void {
  const at = valid + (row >> 3);
  store<u8>(at, load<u8>(at) & ~((<u8>1 << <u8>(row & 7))));
}

function set(i: i32): bool {
  if (refused || n == first) return false;
  mark(column(i).valid, n - 1);
  return true;
}

export function setNumber(i: i32, v: f64): void {
  if (set(i)) store<f64>(column(i).data + 8 * (n - 1), v);
}

/** Integers, and timestamps in microseconds since 1970. */
export function setInteger(i: i32, v: i64): void {
  if (set(i)) store<i64>(column(i).data + 8 * (n - 1), v);
}

export function setBoolean(i: i32, v: bool): void {
  if (!set(i)) return;
  if (v) mark(column(i).data, n - 1);
  else unmark(column(i).data, n - 1);
}

export function setText(i: i32, v: string): void {
  const len = String.UTF8.byteLength(v);
  const at = textRoom(i, len);
  if (at) String.UTF8.encodeUnsafe(changetype<usize>(v), v.length, at);
}

/** Sets a text from UTF-8 bytes. */
export function setBytes(i: i32, at: usize, len: i32): void {
  const to = textRoom(i, len);
  if (to) memory.copy(to, at, len);
}

function textRoom(i: i32, len: i32): usize {
  if (!set(i)) return 0;
  const c = column(i);
  c.textLen = load<i32>(c.data + 4 * (n - 1));
  return append(c, len);
}

/** Makes a text longer and returns where the new bytes go. */
function append(c: Column, len: i32): usize {
  if (c.textLen + len + 1 > c.textRoom) {
    const want = 2 * (c.textLen + len) + 64;
    c.text = grown(c.text, c.textRoom, want);
    c.textRoom = want;
  }
  c.textLen += len;
  return c.text + c.textLen - len;
}

function grown(old: usize, have: i32, want: i32): usize {
  const p = heap.alloc(want);
  if (have) memory.copy(p, old, have);
  memory.fill(p + have, 0, want - have);
  if (old) heap.free(old);
  return p;
}

function growColumn(c: Column, have: i32, want: i32): void {
  c.valid = grown(c.valid, have / 8, want / 8);
  if (c.format == B) c.data = grown(c.data, have / 8, want / 8);
  else if (c.format == U) c.data = grown(c.data, have ? 4 * have + 4 : 0, 4 * want + 4);
  else c.data = grown(c.data, 8 * have, 8 * want);
}

/** Refuses the row, with a reason for a person. What was set of it is taken back. */
export function reject(reason: string): void {
  if (refused) return;
  undo();
  refused = true;
  if (!anyRejected) {
    anyRejected = true;
    if (count > reasonsSize) {
      const want = (count + 63) & ~63;
      growColumn(reasons, reasonsSize, want);
      reasonsSize = want;
    }
    memory.fill(reasons.valid, 0, (count + 7) / 8);
    memory.fill(reasons.data, 0, 4 * (current + 1));
    reasons.textLen = 0;
  }
  mark(reasons.valid, current);
  const at = append(reasons, String.UTF8.byteLength(reason));
  String.UTF8.encodeUnsafe(changetype<usize>(reason), reason.length, at);
}

function undo(): void {
  for (let i = 0; i < COLUMNS; i++) {
    const c = column(i);
    if (c.format == U && n > first) c.textLen = load<i32>(c.data + 4 * first);
    for (let row = first; row < n; row++) {
      unmark(c.valid, row);
      if (c.format == B) unmark(c.data, row);
      else if (c.format != U) store<i64>(c.data + 8 * row, 0);
      if (!MANY) mark(c.valid, row); // a filler, so that columns without nulls stay so
    }
  }
  if (MANY) n = first;
}

// ---- running

function reserve(want: i32): void {
  if (want <= size) return;
  const to = (max(want, 2 * size) + 63) & ~63;
  for (let i = 0; i < COLUMNS; i++) growColumn(column(i), size, to);
  if (MANY) from = grown(from, 4 * size, 4 * to);
  size = to;
}

function endRow(): void {
  if (n == 0) return;
  for (let i = 0; i < COLUMNS; i++) {
    const c = column(i);
    if (c.format == U) store<i32>(c.data + 4 * n, c.textLen);
  }
}

function beginRow(): void {
  endRow();
  if (MANY) {
    reserve(n + 1);
    store<i32>(from + 4 * n, current);
  }
  n++;
}

function begin(at: usize): void {
  __collect();
  const dirty = n; // rows of the last batch; all else is zero
  batch = changetype<Batch>(at);
  count = <i32>batch.rows.length;
  n = 0;
  first = 0;
  refused = false;
  anyRejected = false;
  reserve(count);
  for (let i = 0; i < COLUMNS; i++) {
    const c = column(i);
    memory.fill(c.valid, 0, (dirty + 7) / 8);
    memory.fill(c.data, 0, <usize>(c.format == B ? (dirty + 7) / 8 : c.format == U ? 4 : 8 * dirty));
    c.textLen = 0;
  }
}

function seal(c: Column, length: i32): usize {
  store<usize>(c.buffers, c.valid);
  store<usize>(c.buffers, c.data, 4);
  store<usize>(c.buffers, c.text, 8);
  c.arr.length = length;
  c.arr.nullCount = -1;
  c.arr.nBuffers = c.format == U ? 3 : 2;
  c.arr.buffers = c.buffers;
  return changetype<usize>(c.arr);
}

function end(): usize {
  let at = 0;
  if (MANY) {
    store<usize>(rowBuffers, from, 4);
    rowArr.length = n;
    rowArr.nBuffers = 2;
    rowArr.buffers = rowBuffers;
    store<usize>(children, changetype<usize>(rowArr));
    at = 1;
  }
  for (let i = 0; i < COLUMNS; i++) store<usize>(children + 4 * at++, seal(column(i), n));
  top.length = n;
  top.nBuffers = 1;
  top.nChildren = at;
  top.buffers = none;
  top.children = children;
  store<usize>(answer, changetype<usize>(top));
  store<usize>(answer, anyRejected ? seal(reasons, count) : 0, 4);
  return answer;
}

/** Calls a function for each row of a batch. */
export function eachRow(at: usize, row: () => void): usize {
  begin(at);
  for (current = 0; current < count; current++) {
    refused = false;
    first = n;
    if (!MANY) beginRow();
    row();
    endRow();
    if (anyRejected) store<i32>(reasons.data + 4 * (current + 1), reasons.textLen);
  }
  return end();
}

/** Calls a function for a whole batch of an enrich or score. */
export function eachBatch(at: usize, whole: () => void): usize {
  begin(at);
  n = count;
  whole();
  return end();
}

// ---- state of an older version

let single: bool = false; // a key is migrated: it is the one under way, whatever keys says

/**
 * Calls a function for each key, to turn its state, as an older version of the plugin left it, into this version's:
 *
 *   function key(): void { // version 1 had count = integer; version 2 has total = number
 *     if (tm.oldVersion() == 1) tm.setStateNumber(STATE_TOTAL, <f64>tm.oldInteger(0));
 *   }
 *   export function tidemill_migrate(batch: usize): i32 { return tm.migrate(batch, key); }
 *
 * plugin.hcl says what there was: state has a block from, with the lines version = 1 and columns = { count = integer }. Old columns go by
 * number, in that order; what is not set is zero.
 */
export function migrate(at: usize, key: () => void): i32 {
  batch = changetype<Batch>(at);
  single = true;
  for (current = 0; current < <i32>batch.old.length; current++) key();
  single = false;
  return 0;
}

export function oldVersion(): u32 { return batch.oldVersion; }

/** The format of a child of the old state; in an ArrowSchema children stand at 32. */
function oldFormat(child: i32): usize { return load<usize>(load<usize>(load<usize>(batch.oldSchema, 32) + 4 * child)); }

function oldChild(i: i32): i32 { // bytes take two children, the second has format I
  let child = 0;
  while (load<u8>(oldFormat(child)) == 0x49 || i-- > 0) child++;
  return child;
}

export function oldNumber(i: i32): f64 { return load<f64>(buffer(batch.old, oldChild(i), 1) + 8 * current); }
export function oldInteger(i: i32): i64 { return load<i64>(buffer(batch.old, oldChild(i), 1) + 8 * current); }

/** Where old bytes stand, oldLength() of them. */
export function oldBytesAt(i: i32): usize {
  const child = oldChild(i);
  let width = 0;
  for (let f = oldFormat(child) + 2; load<u8>(f); f++) width = width * 10 + load<u8>(f) - 48;
  return buffer(batch.old, child, 1) + width * current;
}
export function oldLength(i: i32): i32 { return load<i32>(buffer(batch.old, oldChild(i) + 1, 1) + 4 * current); }
