include!("plugin.rs");

fn key(r: &mut tidemill::Row) {
    *r.state_number(STATE_TOTAL) = 10.0 * r.old_integer(1) as f64 + r.old_number(2) + r.old_version() as f64;
    let label = r.old_bytes(0).to_vec();
    r.set_state_bytes(STATE_NOTE, &label);
}

fn row(r: &mut tidemill::Row) {
    let total = r.state_number(STATE_TOTAL);
    *total += r.number(READ_TEMP).unwrap_or(0.0);
    r.set_number(WRITE_TOTAL, *total);
}
tidemill::each_row!(row);
tidemill::migrate!(key);
