// Runs one SQL statement over a lake and prints its rows as JSON, one a line.
// usage: node lake.mjs FOLDER TABLE SQL      TABLE may be "": then there are no views
import { DuckDBInstance } from "@duckdb/node-api";
import { readFileSync } from "node:fs";

const [folder, table, sql] = process.argv.slice(2);
process.chdir(folder);
const db = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false", threads: "1" });
const connection = await db.connect();
await connection.run("SET TimeZone = 'UTC'");
if (table) await connection.run(readFileSync(`_tidemill/${table}.sql`, "utf8"));
const reader = await connection.runAndReadAll(`SELECT CAST(to_json(t) AS VARCHAR) FROM (${sql}) t`);
process.stdout.write(reader.getRows().map(([row]) => row + "\n").join(""));
