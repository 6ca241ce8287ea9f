import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";

export const repository = join(import.meta.dirname, "..", "..");

/** Where things lie in a data directory. */
export interface Layout {
  data: string;
  run: string;
  secrets: string;
  keys: string;
  logs: string;
  postgres: string;
  hostdSocket: string;
  linkSocket: string;
}

/** Makes the directories. The data directory is passed through by other users (0711); these are not (0700). */
export function makeLayout(data: string): Layout {
  mkdirSync(data, { recursive: true, mode: 0o711 });
  chmodSync(data, 0o711);
  const at = (name: string) => join(data, name);
  for (const name of ["run", "secrets", "keys", "logs"]) {
    mkdirSync(at(name), { recursive: true, mode: 0o700 });
    chmodSync(at(name), 0o700);
  }
  return {
    data,
    run: at("run"),
    secrets: at("secrets"),
    keys: at("keys"),
    logs: at("logs"),
    postgres: at("postgres"),
    hostdSocket: join(data, "run", "hostd.sock"),
    linkSocket: join(data, "run", "link.sock"),
  };
}
