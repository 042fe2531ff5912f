//! Four numbers in, one out, whole columns at once.
include!("plugin.rs");

fn batch(r: &mut tidemill::Row) {
    let (temp, setpoint) = (r.numbers(READ_TEMP), r.numbers(READ_SETPOINT));
    let (gain, offset) = (r.numbers(READ_GAIN), r.numbers(READ_OFFSET));
    let out = r.out_numbers(WRITE_OVER);
    for ((((o, t), s), g), f) in out.iter_mut().zip(temp).zip(setpoint).zip(gain).zip(offset) {
        *o = (t - s) * g + f;
    }
}
tidemill::each_batch!(batch);
