import { dirname, join } from "node:path/posix";
import type { Source } from "./sources.ts";

/**
 * Which of our packages each part may import. base ← protocol ← everything else; what two apps need goes through
 * the wire, so it belongs into protocol.
 */
const ALLOWED: Record<string, readonly string[]> = {
  "packages/base": [],
  "packages/protocol": ["base"],
  "packages/agent": ["base", "protocol"],
  "packages/durable": ["base", "protocol"],
  "packages/keys": ["base", "protocol", "durable"],
  "packages/receipt": ["base", "protocol"],
  "packages/cli": ["base", "protocol", "receipt"],
  "packages/db": ["base", "protocol", "durable"],
  "apps/gateway": ["base", "protocol", "durable"],
  "apps/hostd": ["base", "protocol", "durable", "keys", "vm-images"],
  "apps/web": ["base", "protocol", "db", "receipt"],
  "vm-images": ["base", "protocol"],
  // Tools that build, start, measure and test the whole see all packages.
  scripts: ["base", "protocol", "db", "durable", "keys", "receipt", "vm-images"],
  bench: ["base", "protocol", "db", "durable", "keys", "receipt", "vm-images", "hostd"],
  chaos: ["base", "protocol", "db", "durable", "keys", "receipt", "hostd"],
  e2e: ["base", "protocol", "db", "durable", "keys", "receipt", "vm-images"],
  prisma: [],
};

/** Roots without a package of their own, importing each other by path. */
const TOOLS = ["scripts", "bench", "chaos", "e2e", "vm-images"];
const WEB_SERVER = "apps/web/src/server/";

export function importFaults(source: Source): string[] {
  const root = rootOf(source.path);
  if (root === undefined) return [];
  const faults: string[] = [];
  for (const { specifier, line } of source.imports) {
    const advice = specifier.startsWith("@atoll/")
      ? packageAdvice(root, source.path, specifier)
      : specifier.startsWith(".")
        ? pathAdvice(root, source.path, specifier)
        : undefined;
    if (advice) faults.push(`${source.path}:${line}: imports ${specifier}: ${advice}`);
  }
  return faults;
}

/** `apps/web`, `packages/db`, `scripts`; undefined for files at the top. */
export function rootOf(path: string): string | undefined {
  const [first = "", second = "", third] = path.split("/");
  if (first === "apps" || first === "packages") return third === undefined ? undefined : `${first}/${second}`;
  return second === "" ? undefined : first;
}

function packageAdvice(root: string, path: string, specifier: string): string | undefined {
  const [, name = "", ...rest] = specifier.split("/");
  if (rest[0] === "src")
    return `import the module by its public name, @atoll/${name}/${rest.slice(1).join("/")}`;
  if (root.endsWith(`/${name}`)) return "inside a package, import by relative path";
  const allowed = ALLOWED[root];
  if (!allowed) return `scripts/check/import-rules.ts has no rule for ${root}; add it to its table`;
  if (!allowed.includes(name)) return forbidden(root, name);
  if (name === "db" && root === "apps/web" && !path.startsWith(WEB_SERVER) && !isTest(path)) {
    return `the database is for ${WEB_SERVER} only; call a function there`;
  }
  return undefined;
}

function forbidden(root: string, name: string): string {
  if (["gateway", "hostd", "web"].includes(name)) {
    return "apps never import apps; declare the message in @atoll/protocol and send it";
  }
  if (name === "db") return "only the web app's server code reads the database; ask it over its API";
  return `${root} may not depend on @atoll/${name}; move what both need into @atoll/protocol, or @atoll/base if it knows nothing of Atoll`;
}

function pathAdvice(root: string, path: string, specifier: string): string | undefined {
  const target = join(dirname(path), specifier.replace(/\?.*$/, ""));
  const targetRoot = rootOf(target) ?? target;
  if (targetRoot === root || target.startsWith("..")) return undefined;
  if (TOOLS.includes(targetRoot) && TOOLS.includes(root) && targetRoot !== "e2e") return undefined;
  // Files at the top, such as package.json, belong to everybody.
  if (rootOf(target) === undefined) return undefined;
  return `leaves ${root} by path; import ${targetRoot} by its package name`;
}

export function isTest(path: string): boolean {
  return /\.test\.tsx?$/.test(path) || path.includes("/testing/");
}
