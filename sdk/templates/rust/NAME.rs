include!("plugin.rs"); // READ_, WRITE_ and STATE_ columns, from plugin.hcl

fn row(r: &mut tidemill::Row) {
    let (temp, setpoint) = match (r.number(READ_TEMP), r.number(READ_SETPOINT)) {
        (Some(t), Some(s)) => (t, s),
        _ => return r.reject("temp and setpoint are needed"),
    };
    let mean = r.state_number(STATE_MEAN);
    let rows = r.state_integer(STATE_ROWS);
    *mean = if *rows == 0 { temp } else { *mean + (temp - *mean) / 10.0 };
    *rows += 1;

    let over = *mean - setpoint;
    let limit = tidemill::config_number("limit", 3.0);
    r.set_number(WRITE_OVER, over);
    r.set_string(WRITE_STATE, if over > limit { "warm" } else { "ok" });
}

tidemill::each_row!(row);
