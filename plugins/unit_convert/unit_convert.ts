// unit_convert: value = (v - offset) * factor in the base unit of its dimension, and back. Factors are exact where a
// standard defines them (NIST SP 811, appendix B; UCUM).
import * as tm from "./tidemill";
import { READ_UNIT, READ_VALUE, WRITE_CONVERTED } from "./plugin";
export { tidemill_alloc } from "./tidemill";

class Unit {
  constructor(public dimension: i32, public factor: f64, public offset: f64) {}
}

const units = new Map<string, Unit>();

function add(dimension: i32, factor: f64, names: string, offset: f64 = 0): void {
  const list = names.split(" ");
  for (let i = 0; i < list.length; i++) units.set(list[i], new Unit(dimension, factor, offset));
}

const TEMPERATURE = 1, PRESSURE = 2, LENGTH = 3, MASS = 4, SPEED = 5, VOLUME = 6, FLOW = 7, ENERGY = 8, POWER = 9, ANGLE = 10, TIME = 11, RATIO = 12;

add(TEMPERATURE, 1, "K kelvin");
add(TEMPERATURE, 1, "Cel C °C celsius", -273.15);
add(TEMPERATURE, 5.0 / 9.0, "[degF] F °F degF fahrenheit", -459.67);
add(TEMPERATURE, 5.0 / 9.0, "[degR] R rankine");
add(PRESSURE, 1, "Pa pascal");
add(PRESSURE, 100, "hPa mbar");
add(PRESSURE, 1000, "kPa");
add(PRESSURE, 1000000, "MPa");
add(PRESSURE, 100000, "bar");
add(PRESSURE, 101325, "atm");
add(PRESSURE, 6894.757293168361, "[psi] psi");
add(PRESSURE, 133.322387415, "mm[Hg] mmHg");
add(PRESSURE, 3386.388640341, "[in_i'Hg] inHg");
add(LENGTH, 1, "m metre meter");
add(LENGTH, 0.000001, "um µm");
add(LENGTH, 0.001, "mm");
add(LENGTH, 0.01, "cm");
add(LENGTH, 1000, "km");
add(LENGTH, 0.0254, "[in_i] in inch");
add(LENGTH, 0.3048, "[ft_i] ft foot");
add(LENGTH, 0.9144, "[yd_i] yd");
add(LENGTH, 1609.344, "[mi_i] mi mile");
add(LENGTH, 1852, "[nmi_i] nmi");
add(MASS, 1, "kg");
add(MASS, 0.001, "g");
add(MASS, 0.000001, "mg");
add(MASS, 1000, "t tonne");
add(MASS, 0.45359237, "[lb_av] lb");
add(MASS, 0.028349523125, "[oz_av] oz");
add(SPEED, 1, "m/s");
add(SPEED, 1.0 / 3.6, "km/h kph");
add(SPEED, 0.44704, "[mi_i]/h mph");
add(SPEED, 1852.0 / 3600.0, "[kn_i] kn knot");
add(SPEED, 0.3048, "ft/s");
add(VOLUME, 1, "m3");
add(VOLUME, 0.001, "L l litre liter");
add(VOLUME, 0.000001, "mL ml cm3");
add(VOLUME, 0.003785411784, "[gal_us] gal");
add(VOLUME, 0.00454609, "[gal_br] gal_uk");
add(FLOW, 1, "m3/s");
add(FLOW, 1.0 / 3600.0, "m3/h");
add(FLOW, 0.001, "L/s l/s");
add(FLOW, 0.001 / 60.0, "L/min l/min lpm");
add(FLOW, 0.003785411784 / 60.0, "[gal_us]/min gpm");
add(ENERGY, 1, "J joule");
add(ENERGY, 1000, "kJ");
add(ENERGY, 1000000, "MJ");
add(ENERGY, 3600, "Wh W.h");
add(ENERGY, 3600000, "kWh kW.h");
add(ENERGY, 3600000000, "MWh");
add(ENERGY, 1055.05585262, "[Btu] Btu");
add(POWER, 1, "W watt");
add(POWER, 1000, "kW");
add(POWER, 1000000, "MW");
add(POWER, 745.6998715822702, "[HP] hp");
add(ANGLE, 1, "rad");
add(ANGLE, 3.141592653589793 / 180.0, "deg °");
add(TIME, 1, "s");
add(TIME, 0.001, "ms");
add(TIME, 60, "min");
add(TIME, 3600, "h");
add(TIME, 86400, "d");
add(RATIO, 1, "1");
add(RATIO, 0.01, "% %RH");
add(RATIO, 0.000001, "[ppm] ppm");

let ready = false;
let from = "";
let to = "";
let target: Unit = new Unit(0, 1, 0);
let base: Unit | null = null; // of rows without a unit

/** A name as rows have it, in UTF-8, and its unit, which can be converted. */
class Seen {
  constructor(public name: ArrayBuffer, public unit: Unit) {}
}

const seen = new StaticArray<Seen | null>(64); // by place(): rows have few different units

function configure(): void {
  const f = tm.configText("from");
  const t = tm.configText("to");
  from = f ? f : "";
  to = t ? t : "";
  if (!units.has(to)) tm.fail("to: the unit " + to + " is not known");
  target = units.get(to);
  if (from != "" && !units.has(from)) tm.fail("from: the unit " + from + " is not known");
  if (from != "" && units.get(from).dimension == target.dimension) base = units.get(from);
  ready = true;
}

/** Finds a unit by its name; null when it cannot be converted, and the row is refused. */
function find(name: string): Unit | null {
  if (!units.has(name)) {
    tm.reject("the unit is not known: " + (name.length > 40 ? name.substring(0, 40) : name));
    return null;
  }
  const u = units.get(name);
  if (u.dimension == target.dimension) return u;
  tm.reject(name + " cannot be had in " + to);
  return null;
}

function place(at: usize, len: i32): i32 {
  return (7 * len + 31 * <i32>load<u8>(at) + <i32>load<u8>(at + len - 1)) & 63;
}

function unit(): Unit | null {
  if (tm.isNull(READ_UNIT) && from != "") return base ? base : find(from);
  const len = tm.isNull(READ_UNIT) ? 0 : tm.bytesLength(READ_UNIT);
  if (len == 0) {
    tm.reject("the value has no unit");
    return null;
  }
  const at = tm.bytesAt(READ_UNIT), slot = place(at, len), known = seen[slot];
  if (known && known.name.byteLength == len && memory.compare(at, changetype<usize>(known.name), len) == 0) return known.unit;
  const name = tm.text(READ_UNIT), found = find(name);
  if (found) seen[slot] = new Seen(String.UTF8.encode(name), found);
  return found;
}

function row(): void {
  if (tm.isNull(READ_VALUE)) return;
  const u = unit();
  if (!u) return;
  const v = tm.number(READ_VALUE);
  tm.setNumber(WRITE_CONVERTED, u == target ? v : ((v - u.offset) * u.factor) / target.factor + target.offset);
}

export function tidemill_run(batch: usize): usize {
  if (!ready) configure();
  return tm.eachRow(batch, row);
}
