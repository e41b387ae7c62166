// Reads a JSON array of queries; writes one of the number of mistakes in each.
import { readFileSync } from "node:fs";
import { parser } from "@grafana/lezer-traceql";

const mistakes = (query) => {
  let count = 0;
  parser.parse(query).iterate({ enter: (node) => { count += node.type.isError ? 1 : 0; } });
  return count;
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(mistakes)));
