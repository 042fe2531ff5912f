// Made from plugin.hcl by tidemill plugin build. Changes here are lost.
pub const PLUGIN: tidemill::Spec = tidemill::Spec {
    kind: b'd',
    writes: b"uuuulululgbub",
    state: b"",
    state_max: &[],
};
#[allow(dead_code)]
pub const READ_PAYLOAD: usize = 0;
#[allow(dead_code)]
pub const READ_TOPIC: usize = 1;
#[allow(dead_code)]
pub const WRITE_GROUP: usize = 0;
#[allow(dead_code)]
pub const WRITE_TYPE: usize = 1;
#[allow(dead_code)]
pub const WRITE_EDGE: usize = 2;
#[allow(dead_code)]
pub const WRITE_DEVICE: usize = 3;
#[allow(dead_code)]
pub const WRITE_SEQ: usize = 4;
#[allow(dead_code)]
pub const WRITE_NAME: usize = 5;
#[allow(dead_code)]
pub const WRITE_ALIAS: usize = 6;
#[allow(dead_code)]
pub const WRITE_DATATYPE: usize = 7;
#[allow(dead_code)]
pub const WRITE_TIME: usize = 8;
#[allow(dead_code)]
pub const WRITE_NUMBER: usize = 9;
#[allow(dead_code)]
pub const WRITE_TRUTH: usize = 10;
#[allow(dead_code)]
pub const WRITE_TEXT: usize = 11;
#[allow(dead_code)]
pub const WRITE_HISTORICAL: usize = 12;
