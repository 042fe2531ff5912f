//! Decodes Sparkplug B payloads (Eclipse Sparkplug 3.0.0, sections 4 and 6.4): protocol buffers, read as a stream.
//! A payload is read twice, so that one with a mistake in it gives no rows.
include!("plugin.rs");

/// What a metric carries, by the field of its value.
#[derive(Clone, Copy, PartialEq)]
enum Value<'a> {
    None,
    Int(u64, bool), // the bits; whether they are a 32-bit field
    Float(f64),
    Truth(bool),
    Text(&'a [u8]),
    Raw(&'a [u8]),
}

struct Metric<'a> {
    name: Option<&'a [u8]>,
    alias: Option<u64>,
    time: Option<u64>,
    datatype: u32,
    historical: bool,
    value: Value<'a>,
}

/// Walks the fields of a message.
struct Fields<'a> {
    rest: &'a [u8],
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

type Result<T> = core::result::Result<T, &'static str>;

const SHORT: &str = "the payload ends in the middle of a field";

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64> {
        match self.rest {
            [b, rest @ ..] if *b < 128 => {
                self.rest = rest;
                Ok(*b as u64)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut v = 0u64;
        for i in 0..10 {
            let (b, rest) = self.rest.split_first().ok_or(SHORT)?;
            self.rest = rest;
            v |= ((b & 127) as u64) << (7 * i);
            if b & 128 == 0 {
                return Ok(v);
            }
        }
        Err("a number has more than ten bytes")
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        if n > self.rest.len() as u64 {
            return Err(SHORT);
        }
        let (b, rest) = self.rest.split_at(n as usize);
        self.rest = rest;
        Ok(b)
    }

    /// The next field's number and value; None at the end.
    fn next(&mut self) -> Result<Option<(u64, Wire<'a>)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => {
                let mut w = [0; 8];
                w.copy_from_slice(self.take(8)?);
                Wire::Fixed64(u64::from_le_bytes(w))
            }
            2 => {
                let n = self.varint()?;
                Wire::Bytes(self.take(n)?)
            }
            5 => {
                let mut w = [0; 4];
                w.copy_from_slice(self.take(4)?);
                Wire::Fixed32(u32::from_le_bytes(w))
            }
            _ => return Err("it is no Sparkplug B payload"),
        };
        if tag >> 3 == 0 {
            return Err("it is no Sparkplug B payload");
        }
        Ok(Some((tag >> 3, value)))
    }
}

fn metric(bytes: &[u8]) -> Result<Metric> {
    let mut m = Metric { name: None, alias: None, time: None, datatype: 0, historical: false, value: Value::None };
    let mut null = false;
    let mut fields = Fields { rest: bytes };
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Bytes(b)) => m.name = Some(utf8(b)?),
            (2, Wire::Varint(v)) => m.alias = Some(v),
            (3, Wire::Varint(v)) => m.time = Some(v),
            (4, Wire::Varint(v)) => m.datatype = v as u32,
            (5, Wire::Varint(v)) => m.historical = v != 0,
            (7, Wire::Varint(v)) => null = v != 0,
            (10, Wire::Varint(v)) => m.value = Value::Int(v & 0xffff_ffff, true),
            (11, Wire::Varint(v)) => m.value = Value::Int(v, false),
            (12, Wire::Fixed32(v)) => m.value = Value::Float(f32::from_bits(v) as f64),
            (13, Wire::Fixed64(v)) => m.value = Value::Float(f64::from_bits(v)),
            (14, Wire::Varint(v)) => m.value = Value::Truth(v != 0),
            (15, Wire::Bytes(b)) => m.value = Value::Text(utf8(b)?),
            (16, Wire::Bytes(b)) | (17, Wire::Bytes(b)) | (18, Wire::Bytes(b)) => m.value = Value::Raw(b),
            (1..=18, _) if number != 6 && number != 8 && number != 9 => return Err("a field of a metric has another type than Sparkplug B gives it"),
            _ => {}
        }
    }
    if null {
        m.value = Value::None;
    }
    Ok(m)
}

fn utf8(b: &[u8]) -> Result<&[u8]> {
    match core::str::from_utf8(b) {
        Ok(_) => Ok(b),
        Err(_) => Err("a text is not UTF-8"),
    }
}

/// Integers travel as unsigned bits; the datatype says which sign they have (6.4.16). DATA messages may leave it out.
fn number(bits: u64, short: bool, datatype: u32) -> f64 {
    match datatype {
        1 => bits as u8 as i8 as f64,
        2 => bits as u16 as i16 as f64,
        3 => bits as u32 as i32 as f64,
        4 => bits as i64 as f64,
        5 => bits as u8 as f64,
        6 => bits as u16 as f64,
        _ if short => bits as u32 as f64,
        _ => bits as f64,
    }
}

const TYPES: [&str; 20] = [
    "", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean", "String", "DateTime", "Text", "UUID", "DataSet",
    "Bytes", "File", "Template",
];

struct Topic<'a> {
    group: &'a str,
    kind: &'a str,
    edge: &'a str,
    device: Option<&'a str>,
}

fn topic(text: &str) -> Result<Topic> {
    const WRONG: &str = "the topic is not spBv1.0/GROUP/TYPE/EDGE[/DEVICE]";
    let mut parts = text.split('/');
    if parts.next() != Some("spBv1.0") {
        return Err(WRONG);
    }
    let t = Topic { group: parts.next().ok_or(WRONG)?, kind: parts.next().ok_or(WRONG)?, edge: parts.next().ok_or(WRONG)?, device: parts.next() };
    if parts.next().is_some() || t.group.is_empty() || t.edge.is_empty() || t.device == Some("") {
        return Err(WRONG);
    }
    let of_device = match t.kind {
        "NBIRTH" | "NDATA" | "NDEATH" | "NCMD" => false,
        "DBIRTH" | "DDATA" | "DDEATH" | "DCMD" => true,
        _ => return Err("the topic has no type of Sparkplug B: NBIRTH, NDATA, NDEATH, NCMD, DBIRTH, DDATA, DDEATH or DCMD"),
    };
    if of_device != t.device.is_some() {
        return Err(WRONG);
    }
    Ok(t)
}

fn begin(r: &mut tidemill::Row, t: &Topic, seq: Option<u64>) {
    r.emit();
    r.set_string(WRITE_GROUP, t.group);
    r.set_string(WRITE_TYPE, t.kind);
    r.set_string(WRITE_EDGE, t.edge);
    if let Some(d) = t.device {
        r.set_string(WRITE_DEVICE, d);
    }
    if let Some(s) = seq {
        r.set_integer(WRITE_SEQ, s as i64);
    }
    r.set_bool(WRITE_HISTORICAL, false);
}

fn set_time(r: &mut tidemill::Row, ms: Option<u64>) {
    if let Some(ms) = ms {
        if ms < 1 << 50 {
            r.set_integer(WRITE_TIME, ms as i64 * 1000);
        }
    }
}

fn text(b: &[u8]) -> &str {
    // It was checked when the metric was read.
    core::str::from_utf8(b).unwrap_or("")
}

fn write(r: &mut tidemill::Row, m: &Metric) {
    if let Some(n) = m.name {
        r.set_string(WRITE_NAME, text(n));
    }
    if let Some(a) = m.alias {
        r.set_integer(WRITE_ALIAS, a as i64);
    }
    if m.datatype > 0 {
        r.set_string(WRITE_DATATYPE, TYPES.get(m.datatype as usize).copied().unwrap_or("other"));
    }
    r.set_bool(WRITE_HISTORICAL, m.historical);
    match m.value {
        Value::None => {}
        Value::Int(bits, short) => r.set_number(WRITE_NUMBER, number(bits, short, m.datatype)),
        Value::Float(v) => r.set_number(WRITE_NUMBER, v),
        Value::Truth(v) => r.set_bool(WRITE_TRUTH, v),
        Value::Text(b) => r.set_string(WRITE_TEXT, text(b)),
        Value::Raw(b) => {
            let digits = b"0123456789abcdef";
            let mut hex = String::with_capacity(2 * b.len());
            for x in b {
                hex.push(digits[(x >> 4) as usize] as char);
                hex.push(digits[(x & 15) as usize] as char);
            }
            r.set_string(WRITE_TEXT, &hex);
        }
    }
}

fn payload(r: &mut tidemill::Row, t: &Topic, bytes: &[u8]) -> Result<()> {
    let (mut time, mut seq, mut count) = (None, None, 0);
    let mut fields = Fields { rest: bytes };
    while let Some((number, wire)) = fields.next()? {
        match (number, wire) {
            (1, Wire::Varint(v)) => time = Some(v),
            (2, Wire::Bytes(b)) => {
                metric(b)?;
                count += 1;
            }
            (3, Wire::Varint(v)) => seq = Some(v),
            (1..=5, _) if number < 4 => return Err("it is no Sparkplug B payload"),
            _ => {}
        }
    }
    if count > 1024 {
        return Err("the payload has more than 1024 metrics");
    }
    if count == 0 && t.kind.ends_with("DEATH") {
        begin(r, t, seq);
        set_time(r, time);
    }
    let mut fields = Fields { rest: bytes };
    while let Some((number, wire)) = fields.next()? {
        if let (2, Wire::Bytes(b)) = (number, wire) {
            let m = metric(b)?;
            begin(r, t, seq);
            set_time(r, m.time.or(time));
            write(r, &m);
        }
    }
    Ok(())
}

fn row(r: &mut tidemill::Row) {
    let at = r.string(READ_TOPIC).unwrap_or("");
    let bytes = r.bytes(READ_PAYLOAD).unwrap_or(&[]);
    let done = topic(at).and_then(|t| payload(r, &t, bytes));
    if let Err(why) = done {
        r.reject(why);
    }
}

tidemill::each_row!(row);
