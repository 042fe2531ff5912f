// Tells, a line a file, whether DuckDB reads all of a Parquet file: "read" or "refused".
// usage: node refuses.mjs FILE...
import { DuckDBInstance } from "@duckdb/node-api";

const db = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false", threads: "1" });
const connection = await db.connect();
for (const name of process.argv.slice(2)) {
  try {
    await connection.run(`CREATE OR REPLACE TEMP TABLE t AS SELECT * FROM read_parquet('${name}', hive_partitioning = false)`);
    console.log("read");
  } catch {
    console.log("refused");
  }
}
