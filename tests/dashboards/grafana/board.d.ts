// A dashboard as JSON: enums are their values, and nothing may stand there that Grafana's types lack.
import type {
  Dashboard,
  VariableModel,
} from "./node_modules/@grafana/schema/dist/esm/raw/dashboard/x/dashboard_types.gen.d.ts";

type Plain<T> = T extends string
  ? `${T}`
  : T extends object
    ? { [K in keyof T]: Plain<T[K]> }
    : T;

// Options of interval variables, which grafana-foundation-sdk writes for variables of every type.
type Interval = { auto?: boolean; auto_min?: string; auto_count?: number };

export type Board = Omit<Plain<Dashboard>, "templating"> & {
  templating?: { list?: (Plain<VariableModel> & Interval)[] };
};
