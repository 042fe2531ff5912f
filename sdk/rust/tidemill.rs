//! Write a Tidemill plugin in Rust. The contract below it is sdk/ABI.md.
//!
//! ```ignore
//! include!("plugin.rs");                // made from plugin.hcl by `tidemill plugin build`
//!
//! fn row(r: &mut tidemill::Row) {
//!     let temp = match r.number(READ_TEMP) {
//!         Some(t) => t,
//!         None => return r.reject("there is no temperature"),
//!     };
//!     let mean = r.state_number(STATE_MEAN);
//!     *mean += (temp - *mean) / 10.0;
//!     let over = *mean - tidemill::config_number("limit", 3.0);
//!     r.set_number(WRITE_OVER, over);
//! }
//! tidemill::each_row!(row);
//! ```
//!
//! plugin.rs names the columns (READ_..., WRITE_..., STATE_...) and describes them in PLUGIN.
//!
//! enrich and score: a row has one answer; what is not set is null. transform and decode:
//! `emit` begins an output row; a row without one is dropped.
//!
//! Whole columns at once, for speed: `each_batch!`, `Row::numbers`, `Row::out_numbers`.
//!
//! What stands in statics lasts until the instance ends, which may be at any time: what has to last
//! longer is state. A panic fails the row.
extern crate core;

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{null, null_mut};
mod migrate;

/// What plugin.hcl says of the columns: a letter each.
/// g number, l integer or timestamp, b bool, u string, w bytes in state.
pub struct Spec {
    pub kind: u8,
    pub writes: &'static [u8],
    pub state: &'static [u8],
    pub state_max: &'static [u32],
}

pub const DEBUG: i32 = 0; pub const INFO: i32 = 1; pub const WARNING: i32 = 2; pub const ERROR: i32 = 3;

mod host {
    #[link(wasm_import_module = "tidemill")]
    extern "C" {
        pub fn log(level: i32, text: *const u8, len: usize);
        pub fn config_number(name: *const u8, len: usize) -> f64;
        pub fn config_text(name: *const u8, len: usize, to: *mut u8, room: usize) -> i32;
        pub fn fail(text: *const u8, len: usize);
    }
}

/// Writes a line for the operator.
pub fn log(level: i32, text: &str) {
    unsafe { host::log(level, text.as_ptr(), text.len()) }
}

/// An argument of the plugin block; `otherwise` when it was not given.
pub fn config_number(name: &str, otherwise: f64) -> f64 {
    let v = unsafe { host::config_number(name.as_ptr(), name.len()) };
    if v.is_nan() { otherwise } else { v }
}

/// An argument's text; all but strings as JSON. None when it was not given.
pub fn config_text(name: &str) -> Option<String> {
    let n = unsafe { host::config_text(name.as_ptr(), name.len(), null_mut(), 0) };
    if n < 0 {
        return None;
    }
    let mut text = vec![0u8; n as usize];
    unsafe { host::config_text(name.as_ptr(), name.len(), text.as_mut_ptr(), text.len()) };
    String::from_utf8(text).ok()
}

/// Gives the row up, and the instance: for what must not happen. For a row that makes no sense, `Row::reject`.
pub fn fail(text: &str) -> ! {
    unsafe { host::fail(text.as_ptr(), text.len()) };
    core::arch::wasm32::unreachable()
}

// ---- memory -----------------------------------------------------------------------------

/// Blocks are powers of two; free ones wait in a list by size. A module has one thread.
struct Blocks;

static mut FREE: [*mut u8; 32] = [null_mut(); 32];
static mut TOP: usize = 0;

extern "C" {
    static __heap_base: u8;
}

fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(16);
    size.next_power_of_two().trailing_zeros() as usize
}

unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let c = class(layout);
        if c > 30 {
            return null_mut();
        }
        let block = FREE[c];
        if !block.is_null() {
            FREE[c] = *(block as *mut *mut u8);
            return block;
        }
        if TOP == 0 {
            TOP = (&__heap_base as *const u8 as usize + 63) & !63;
        }
        let align = layout.align().max(16);
        let at = (TOP + align - 1) & !(align - 1);
        let end = at as u64 + (1u64 << c);
        let (have, want) = (core::arch::wasm32::memory_size(0) as u64, (end + 65535) >> 16);
        if want > 65535 || want > have && core::arch::wasm32::memory_grow(0, (want - have) as usize) == usize::MAX {
            return null_mut();
        }
        TOP = end as usize;
        at as *mut u8
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let c = class(layout);
        *(block as *mut *mut u8) = FREE[c];
        FREE[c] = block;
    }
}

#[global_allocator]
static BLOCKS: Blocks = Blocks;

static mut REGION: *mut u8 = null_mut();
static mut ROOM: usize = 0;

#[doc(hidden)]
pub unsafe fn region(size: usize) -> *mut u8 {
    if size > ROOM {
        let room = size.next_power_of_two();
        let p = BLOCKS.alloc(Layout::from_size_align_unchecked(room, 16));
        if p.is_null() {
            return p;
        }
        if ROOM > 0 {
            BLOCKS.dealloc(REGION, Layout::from_size_align_unchecked(ROOM, 16));
        }
        REGION = p;
        ROOM = room;
    }
    REGION
}

// ---- what crosses -------------------------------------------------------------------------

#[repr(C)]
struct Array {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *const *mut u8,
    children: *const *const Array,
    dictionary: u32,
    release: u32,
    private_data: u32,
}

#[repr(C)]
#[doc(hidden)]
pub struct Batch {
    rows_schema: u32, rows: *const Array,
    keys: *const u32,
    state_schema: u32, state: *const Array,
    old_schema: *const u32, old: *const Array, old_version: u32,
}

#[repr(C)]
#[doc(hidden)]
pub struct Answer {
    rows: *const Array,
    rejects: *const Array,
    zero: [u32; 2],
}

fn array() -> Array {
    Array { null_count: -1, ..unsafe { core::mem::zeroed() } }
}

/// A column that goes out. data holds values, or the ends of strings.
struct Column {
    format: u8,
    valid: Vec<u8>,
    data: Vec<u64>,
    bits: Vec<u8>,
    ends: Vec<u32>,
    text: Vec<u8>,
    buffers: [*mut u8; 3],
    array: Array,
}

impl Column {
    fn new(format: u8) -> Column {
        Column { format, valid: Vec::new(), data: Vec::new(), bits: Vec::new(), ends: Vec::new(), text: Vec::new(), buffers: [null_mut(); 3], array: array() }
    }

    /// All null, with room for rows. Vec keeps its memory, so nothing is allocated from the second batch on.
    fn begin(&mut self, rows: usize) {
        self.valid.clear();
        self.text.clear();
        self.data.clear();
        self.bits.clear();
        self.ends.clear();
        self.reserve(rows);
        if self.format == b'u' {
            self.ends[0] = 0;
        }
    }

    fn reserve(&mut self, rows: usize) {
        self.valid.resize((rows + 7) / 8, 0);
        match self.format {
            b'b' => self.bits.resize((rows + 7) / 8, 0),
            b'u' => self.ends.resize(rows + 1, 0),
            _ => self.data.resize(rows, 0),
        }
    }

    fn seal(&mut self, rows: usize) {
        let data = match self.format {
            b'b' => self.bits.as_mut_ptr(),
            b'u' => self.ends.as_mut_ptr() as *mut u8,
            _ => self.data.as_mut_ptr() as *mut u8,
        };
        self.buffers = [self.valid.as_mut_ptr(), data, self.text.as_mut_ptr()];
        self.array.length = rows as i64;
        self.array.n_buffers = if self.format == b'u' { 3 } else { 2 };
        self.array.buffers = self.buffers.as_ptr();
    }
}

/// The row under way, and with `each_batch!` the whole batch.
pub struct Row {
    spec: &'static Spec,
    batch: *const Batch,
    row: usize,
    rows: usize,
    n: usize,     // output rows, the one under way among them
    first: usize, // the first of the input row under way
    room: usize,
    refused: bool,
    rejected: bool, // any row of the batch
    out: Vec<Column>,
    from: Vec<u32>,
    reasons: Column,
    row_array: Array,
    row_buffers: [*mut u8; 2],
    none: [*mut u8; 1],
    children: Vec<*const Array>,
    top: Array,
    answer: Answer,
}

impl Row {
    #[doc(hidden)]
    pub fn new(spec: &'static Spec) -> Row {
        Row {
            spec,
            batch: null(),
            row: 0, rows: 0, n: 0, first: 0, room: 0,
            refused: false, rejected: false,
            out: spec.writes.iter().map(|f| Column::new(*f)).collect(),
            from: Vec::new(),
            reasons: Column::new(b'u'),
            row_array: array(),
            row_buffers: [null_mut(); 2],
            none: [null_mut(); 1],
            children: Vec::new(),
            top: array(),
            answer: Answer { rows: null(), rejects: null(), zero: [0; 2] },
        }
    }

    fn many(&self) -> bool { self.spec.kind == b't' || self.spec.kind == b'd' }

    #[inline]
    fn buffer(&self, column: usize, i: usize) -> *const u8 {
        unsafe { *(**(*(*self.batch).rows).children.add(column)).buffers.add(i) }
    }

    // ---- whole columns
    /// Input rows of the batch.
    pub fn rows(&self) -> usize { self.rows }

    /// The values of a column; 0 under a null.
    pub fn numbers(&self, column: usize) -> &'static [f64] {
        unsafe { core::slice::from_raw_parts(self.buffer(column, 1) as *const f64, self.rows) }
    }

    pub fn integers(&self, column: usize) -> &'static [i64] {
        unsafe { core::slice::from_raw_parts(self.buffer(column, 1) as *const i64, self.rows) }
    }

    /// The validity of a column: bit i & 7 of byte i >> 3. None: no value is null.
    pub fn valid(&self, column: usize) -> Option<&'static [u8]> {
        let p = self.buffer(column, 0);
        if p.is_null() { None } else { Some(unsafe { core::slice::from_raw_parts(p, (self.rows + 7) / 8) }) }
    }

    /// A column of an enrich or score, to be written whole in `each_batch!`; all of it counts as not null.
    pub fn out_numbers(&mut self, column: usize) -> &mut [f64] {
        let c = &mut self.out[column];
        c.valid.fill(255);
        unsafe { core::slice::from_raw_parts_mut(c.data.as_mut_ptr() as *mut f64, self.rows) }
    }

    // ---- values of the row

    #[inline]
    pub fn is_null(&self, column: usize) -> bool {
        let p = self.buffer(column, 0);
        !p.is_null() && unsafe { *p.add(self.row >> 3) >> (self.row & 7) & 1 } == 0
    }

    /// Where the row's value is; None under a null.
    #[inline]
    fn at<T>(&self, column: usize) -> Option<*const T> {
        if self.is_null(column) { None } else { Some(unsafe { (self.buffer(column, 1) as *const T).add(self.row) }) }
    }

    #[inline]
    pub fn number(&self, column: usize) -> Option<f64> {
        self.at(column).map(|p| unsafe { *p })
    }

    /// Integers, and timestamps in microseconds since 1970.
    #[inline]
    pub fn integer(&self, column: usize) -> Option<i64> {
        self.at(column).map(|p| unsafe { *p })
    }

    pub fn bool(&self, column: usize) -> Option<bool> {
        let byte = || unsafe { *self.buffer(column, 1).add(self.row >> 3) };
        if self.is_null(column) { None } else { Some(byte() >> (self.row & 7) & 1 != 0) }
    }

    pub fn bytes(&self, column: usize) -> Option<&'static [u8]> {
        self.at(column).map(|ends: *const u32| unsafe {
            let (from, to) = (*ends as usize, *ends.add(1) as usize);
            core::slice::from_raw_parts(self.buffer(column, 2).add(from), to - from)
        })
    }

    pub fn string(&self, column: usize) -> Option<&'static str> { self.bytes(column).map(|b| unsafe { core::str::from_utf8_unchecked(b) }) }

    // ---- state of the row's key: written in place, all zero at first

    fn state(&self, column: usize, second: usize) -> *mut u8 {
        let bytes = self.spec.state[..column].iter().filter(|f| **f == b'w').count();
        unsafe { *(**(*(*self.batch).state).children.add(column + bytes + second)).buffers.add(1) }
    }

    fn key(&self) -> usize { unsafe { *(*self.batch).keys.add(self.row) as usize } }

    pub fn state_number(&mut self, column: usize) -> &'static mut f64 { unsafe { &mut *(self.state(column, 0) as *mut f64).add(self.key()) } }

    pub fn state_integer(&mut self, column: usize) -> &'static mut i64 { unsafe { &mut *(self.state(column, 0) as *mut i64).add(self.key()) } }

    pub fn state_bytes(&self, column: usize) -> &'static [u8] {
        let max = self.spec.state_max[column] as usize;
        unsafe {
            let len = *(self.state(column, 1) as *const u32).add(self.key());
            core::slice::from_raw_parts(self.state(column, 0).add(max * self.key()), len as usize)
        }
    }

    /// Keeps bytes for the key; false when they are longer than the manifest allows.
    pub fn set_state_bytes(&mut self, column: usize, value: &[u8]) -> bool {
        let max = self.spec.state_max[column] as usize;
        if value.len() > max {
            return false;
        }
        unsafe {
            *(self.state(column, 1) as *mut u32).add(self.key()) = value.len() as u32;
            core::ptr::copy(value.as_ptr(), self.state(column, 0).add(max * self.key()), value.len());
        }
        true
    }

    // ---- what the row becomes

    /// Begins an output row of a transform or decoder; what is set next is set in it.
    pub fn emit(&mut self) {
        if self.many() && !self.refused {
            self.begin_row();
        }
    }

    fn set(&mut self, column: usize) -> Option<usize> {
        if self.refused || self.n == self.first { return None; }
        let row = self.n - 1;
        self.out[column].valid[row >> 3] |= 1 << (row & 7);
        Some(row)
    }

    #[inline]
    pub fn set_number(&mut self, column: usize, v: f64) {
        if let Some(row) = self.set(column) {
            self.out[column].data[row] = v.to_bits();
        }
    }

    #[inline]
    pub fn set_integer(&mut self, column: usize, v: i64) {
        if let Some(row) = self.set(column) {
            self.out[column].data[row] = v as u64;
        }
    }

    pub fn set_bool(&mut self, column: usize, v: bool) {
        if let Some(row) = self.set(column) {
            let byte = &mut self.out[column].bits[row >> 3];
            *byte = *byte & !(1 << (row & 7)) | (v as u8) << (row & 7);
        }
    }

    pub fn set_string(&mut self, column: usize, v: &str) {
        if let Some(row) = self.set(column) {
            let c = &mut self.out[column];
            c.text.truncate(c.ends[row] as usize);
            c.text.extend_from_slice(v.as_bytes());
        }
    }

    /// Refuses the row, with a reason for a person. What was set of it is taken back.
    pub fn reject(&mut self, reason: &str) {
        if self.refused {
            return;
        }
        self.undo();
        self.refused = true;
        if !self.rejected {
            self.rejected = true;
            self.reasons.begin(self.rows);
        }
        self.reasons.valid[self.row >> 3] |= 1 << (self.row & 7);
        self.reasons.text.extend_from_slice(reason.as_bytes());
    }

    fn undo(&mut self) {
        let many = self.many();
        for c in &mut self.out {
            if c.format == b'u' && self.n > self.first {
                c.text.truncate(c.ends[self.first] as usize);
            }
            for row in self.first..self.n {
                let (byte, bit) = (row >> 3, 1u8 << (row & 7));
                match c.format {
                    b'b' => c.bits[byte] &= !bit,
                    b'u' => {}
                    _ => c.data[row] = 0,
                }
                // A filler where a row must have an answer, so that columns without nulls stay so.
                c.valid[byte] = if many { c.valid[byte] & !bit } else { c.valid[byte] | bit };
            }
        }
        if many {
            self.n = self.first;
        }
    }

    // ---- running

    fn reserve(&mut self, rows: usize) {
        if rows > self.room {
            self.room = (2 * self.room).max(rows);
            for c in &mut self.out {
                c.reserve(self.room);
            }
        }
    }

    fn end_row(&mut self) {
        if self.n > 0 {
            for c in &mut self.out {
                if c.format == b'u' {
                    c.ends[self.n] = c.text.len() as u32;
                }
            }
        }
    }

    fn begin_row(&mut self) {
        self.end_row();
        if self.many() {
            self.reserve(self.n + 1);
            self.from.truncate(self.n);
            self.from.push(self.row as u32);
        }
        self.n += 1;
    }

    fn begin(&mut self, batch: *const Batch) {
        self.batch = batch;
        self.rows = unsafe { (*(*batch).rows).length as usize };
        self.n = 0;
        self.first = 0;
        self.refused = false;
        self.rejected = false;
        self.room = self.rows;
        self.from.clear();
        for c in &mut self.out {
            c.begin(self.rows);
        }
    }

    fn end(&mut self) -> *const Answer {
        self.children.clear();
        if self.many() {
            self.row_buffers[1] = self.from.as_mut_ptr() as *mut u8;
            self.row_array.length = self.n as i64;
            self.row_array.n_buffers = 2;
            self.row_array.buffers = self.row_buffers.as_ptr();
            self.children.push(&self.row_array);
        }
        for c in &mut self.out {
            c.seal(self.n);
            self.children.push(&c.array);
        }
        self.top.length = self.n as i64;
        self.top.n_buffers = 1;
        self.top.buffers = self.none.as_ptr();
        self.top.n_children = self.children.len() as i64;
        self.top.children = self.children.as_ptr();
        self.answer.rows = &self.top;
        self.answer.rejects = null();
        if self.rejected {
            self.reasons.seal(self.rows);
            self.answer.rejects = &self.reasons.array;
        }
        &self.answer
    }

    #[doc(hidden)]
    #[inline]
    pub fn run_rows(&mut self, batch: *const Batch, f: impl Fn(&mut Row)) -> *const Answer {
        self.begin(batch);
        for row in 0..self.rows {
            self.row = row;
            self.refused = false;
            self.first = self.n;
            if !self.many() {
                self.begin_row();
            }
            f(self);
            self.end_row();
            if self.rejected {
                self.reasons.ends[row + 1] = self.reasons.text.len() as u32;
            }
        }
        self.end()
    }

    #[doc(hidden)]
    pub fn run_batch(&mut self, batch: *const Batch, f: impl Fn(&mut Row)) -> *const Answer {
        self.begin(batch);
        self.n = self.rows;
        f(self);
        self.end()
    }
}

/// Makes the plugin of a function that is called for each row.
#[macro_export]
macro_rules! each_row { ($function:path) => { $crate::exports!(run_rows, $function); }; }

/// Makes the plugin of a function that is called for each batch of an enrich or score.
#[macro_export]
macro_rules! each_batch { ($function:path) => { $crate::exports!(run_batch, $function); }; }

#[doc(hidden)]
#[macro_export]
macro_rules! exports {
    ($run:ident, $function:path) => {
        static mut TIDEMILL_ROW: Option<$crate::Row> = None;

        #[no_mangle]
        pub unsafe extern "C" fn tidemill_alloc(size: usize) -> *mut u8 {
            $crate::region(size)
        }

        #[no_mangle]
        pub unsafe extern "C" fn tidemill_run(batch: *const $crate::Batch) -> *const $crate::Answer {
            TIDEMILL_ROW.get_or_insert_with(|| $crate::Row::new(&PLUGIN)).$run(batch, $function)
        }
    };
}
