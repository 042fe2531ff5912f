// Reads Parquet files with hyparquet and prints, a line a file, what it finds: JSON of
// { rows, columns: { name: { n, sum, text } } }, or { error }.
// usage: node hyparquet.mjs FILE...
import { asyncBufferFromFile, parquetReadObjects, parquetMetadataAsync } from "hyparquet";
import { compressors } from "hyparquet-compressors";

for (const name of process.argv.slice(2)) {
  try {
    const file = await asyncBufferFromFile(name);
    const metadata = await parquetMetadataAsync(file);
    const rows = await parquetReadObjects({ file, compressors });
    const columns = {};
    for (const row of rows) {
      for (const [key, value] of Object.entries(row)) {
        const c = (columns[key] ??= { n: 0, sum: 0, text: 0 });
        if (value === null || value === undefined) continue;
        c.n++;
        if (value instanceof Date) c.sum += value.getTime();
        else if (typeof value === "bigint" || typeof value === "number" || typeof value === "boolean") c.sum += Number(value);
        else if (typeof value === "string") c.text += Buffer.byteLength(value);
        else c.text += value.length;
      }
    }
    if (BigInt(rows.length) !== metadata.num_rows) throw new Error("another number of rows than it says");
    console.log(JSON.stringify({ rows: rows.length, columns }));
  } catch (e) {
    console.log(JSON.stringify({ error: String(e.message ?? e).slice(0, 200) }));
  }
}
