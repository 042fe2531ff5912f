// Runs one SQL statement and prints its rows as JSON, one a line.
// usage: node query.mjs SQL INPUT
import { DuckDBInstance } from "@duckdb/node-api";

const [text, input] = process.argv.slice(2);
const sql = text.replaceAll("$INPUT", input.replaceAll("'", "''"));
const db = await DuckDBInstance.create(":memory:", { autoinstall_known_extensions: "false", threads: "1" });
const connection = await db.connect();
await connection.run("SET TimeZone = 'UTC'");
const reader = await connection.runAndReadAll(`SELECT CAST(to_json(t) AS VARCHAR) FROM (${sql}) t`);
process.stdout.write(reader.getRows().map(([row]) => row + "\n").join(""));
