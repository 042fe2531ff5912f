// Compares dashboards with Grafana's own types: node check.mjs FOLDER
// Each dashboard becomes a TypeScript file in memory, its JSON typed as Dashboard and the options of each
// panel as those of its kind, and the compiler says what does not fit.
import fs from "node:fs";
import path from "node:path";
import ts from "typescript";

const types = {
  timeseries: "TimeSeries", stat: "Stat", table: "Table", geomap: "Geomap", bargauge: "BarGauge", gauge: "Gauge", "state-timeline": "StateTimeline",
};
const here = import.meta.dirname;
const schema = path.join(here, "node_modules/@grafana/schema/dist/types");
// Enumerations are compared by their values, which is what JSON holds; a threshold's first step
// has the value null, which stands for minus infinity in JSON. What belongs to a data source or a
// kind of panel (target, custom, config) has no type there.
const prelude = `
type Plain<T> = T extends number | string | boolean | null | undefined ? (T extends string ? \`\${T}\` : T extends number ? (\`\${T}\` extends \`\${infer N extends number}\` ? N : never) : T) : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: K extends "steps" ? { color: string; value: number | null }[] : K extends "custom" | "config" | "target" ? any : Plain<T[K]> } : T;
`;
const files = new Map();
for (const name of fs.readdirSync(process.argv[2]).filter((f) => f.endsWith(".json"))) {
  const d = JSON.parse(fs.readFileSync(path.join(process.argv[2], name), "utf8"));
  let text = `import type { Dashboard, Panel } from ${JSON.stringify(path.join(schema, "index"))};\n`;
  const kinds = [...new Set(d.panels.map((p) => p.type))];
  for (const k of kinds) {
    if (!types[k]) throw new Error(`${name}: no types are known of panels of kind ${k}`);
    const dir = path.join(here, "node_modules/@grafana/schema/dist/esm/raw/composable", k.replace("-", ""), "panelcfg/x");
    text += `import type { Options as ${types[k]}Options } from ${JSON.stringify(path.join(dir, types[k] + "PanelCfg_types.gen"))};\n`;
  }
  text += prelude;
  text += `const dashboard: Plain<Omit<Dashboard, "panels">> = ${JSON.stringify({ ...d, panels: undefined }, null, 1)};\n`;
  for (const p of d.panels) {
    text += `const panel${p.id}: Plain<Omit<Panel, "options">> = ${JSON.stringify({ ...p, options: undefined }, null, 1)};\n`;
    text += `const options${p.id}: Partial<Plain<${types[p.type]}Options>> = ${JSON.stringify(p.options, null, 1)};\n`;
  }
  files.set(path.join(here, name.replace(".json", ".ts")), text);
}
const options = { strict: true, noEmit: true, skipLibCheck: true, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler, target: ts.ScriptTarget.ES2022, types: [] };
const host = ts.createCompilerHost(options);
const read = host.getSourceFile.bind(host);
host.getSourceFile = (f, v, ...rest) => (files.has(f) ? ts.createSourceFile(f, files.get(f), v) : read(f, v, ...rest));
const exists = host.fileExists.bind(host);
host.fileExists = (f) => files.has(f) || exists(f);
const found = ts.getPreEmitDiagnostics(ts.createProgram([...files.keys()], options, host));
for (const d of found) {
  const at = d.file ? d.file.getLineAndCharacterOfPosition(d.start) : { line: 0 };
  const line = d.file ? d.file.text.split("\n")[at.line].trim() : "";
  console.log(`${path.basename(d.file?.fileName ?? "")}: ${ts.flattenDiagnosticMessageText(d.messageText, "\n  ")}\n    ${line.slice(0, 160)}`);
}
if (files.size === 0) throw new Error("no dashboards");
process.exit(found.length > 0 ? 1 : 0);
