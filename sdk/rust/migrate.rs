//! State of an older version: `migrate!` and what its function reads.
use crate::{Batch, Row};

/// Names a function that turns the state of one key, as an older version of the plugin left it, into this version's.
/// It stands behind `each_row!`.
///
/// ```ignore
/// fn key(r: &mut tidemill::Row) { // version 1 had count = integer; version 2 has total = number
///     if r.old_version() == 1 {
///         *r.state_number(STATE_TOTAL) = r.old_integer(0) as f64;
///     }
/// }
/// tidemill::migrate!(key);
/// ```
///
/// plugin.hcl says what there was: state has a block `from`, with the lines `version = 1` and `columns = { count = integer }`. Old columns go
/// by number, in that order; what is not set is zero.
#[macro_export]
macro_rules! migrate {
    ($function:path) => {
        #[no_mangle]
        pub unsafe extern "C" fn tidemill_migrate(batch: *mut $crate::Batch) -> i32 {
            TIDEMILL_ROW.get_or_insert_with(|| $crate::Row::new(&PLUGIN)).migrate_keys(batch, $function)
        }
    };
}

impl Row {
    #[doc(hidden)]
    pub fn migrate_keys(&mut self, batch: *mut Batch, f: impl Fn(&mut Row)) -> i32 {
        self.batch = batch;
        self.row = 0;
        let keys = unsafe { (*(*batch).old).length as u32 };
        for key in 0..keys {
            unsafe { (*batch).keys = &key } // so that state_... name the key under way
            f(self);
        }
        0
    }

    /// The version of the state that the function is given.
    pub fn old_version(&self) -> u32 { unsafe { (*self.batch).old_version } }

    pub fn old_number(&self, column: usize) -> f64 { unsafe { *(self.old(self.old_child(column)) as *const f64).add(self.old_key()) } }

    pub fn old_integer(&self, column: usize) -> i64 { unsafe { *(self.old(self.old_child(column)) as *const i64).add(self.old_key()) } }

    /// Bytes of the old state; they are the host's until the function ends.
    pub fn old_bytes(&self, column: usize) -> &[u8] {
        let child = self.old_child(column);
        unsafe {
            let (mut width, mut at) = (0, self.old_format(child).add(2));
            while *at != 0 {
                width = width * 10 + (*at - b'0') as usize;
                at = at.add(1);
            }
            let len = *(self.old(child + 1) as *const u32).add(self.old_key());
            core::slice::from_raw_parts(self.old(child).add(width * self.old_key()), len as usize)
        }
    }

    fn old_key(&self) -> usize { unsafe { *(*self.batch).keys as usize } }

    fn old(&self, child: usize) -> *const u8 { unsafe { *(**(*(*self.batch).old).children.add(child)).buffers.add(1) } }

    /// The format of a child of the old state; in an ArrowSchema children stand at 32.
    fn old_format(&self, child: usize) -> *const u8 {
        unsafe {
            let children = *(*self.batch).old_schema.add(8) as *const *const *const u8;
            **children.add(child)
        }
    }

    /// Bytes take two children; the second has format I.
    fn old_child(&self, column: usize) -> usize {
        let mut left = column + 1;
        let mut child = 0;
        loop {
            if unsafe { *self.old_format(child) } != b'I' {
                left -= 1;
                if left == 0 {
                    return child;
                }
            }
            child += 1;
        }
    }
}
