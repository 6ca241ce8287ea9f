import { z } from "zod";
import { CommandFailed, runCommand } from "./run-command.ts";

/**
 * Where this machine gets packages from: its own apt, npm and pip configuration. The guest image is built from the
 * same places and names them in its own configuration, so nothing here is written down in the repository.
 */
export interface MachineSources {
  apt: {
    archiveUri: string;
    securityUri: string | undefined;
    hasUpdatesSuite: boolean;
    /** `Acquire::…` settings about dates and tries, as `name "value";` lines. */
    options: string[];
    /** The same about how this machine reaches servers: with passwords, so never in an argument or in an image. */
    fetchOptions?: string[];
  };
  npm: { registry: string; scopes: Record<string, string>; cafile: string | undefined };
  pip: { indexUrl: string | undefined; extraIndexUrls: string[] };
}

const APT_FIELDS = ["CREATED_BY", "ORIGIN", "RELEASE", "COMPONENT", "REPO_URI"] as const;

/** How Debian names its suites; third parties use other names or another Origin. */
const DEBIAN_SUITE =
  /^(bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)(-updates|-security|\/updates)?$/;

const OPTION = /^Acquire::(Check-Valid-Until|Check-Date|Retries) "/;
const FETCH_OPTION = /^Acquire::https?::[^ ]+ "/;

export async function readMachineSources(signal?: AbortSignal): Promise<MachineSources> {
  const [targets, options, npm, pip] = await Promise.all([
    runCommand(["apt-get", "indextargets", "--format", APT_FIELDS.map((name) => `$(${name})`).join("|")], {
      signal,
    }),
    runCommand(["apt-config", "dump"], { signal }),
    runCommand(["npm", "config", "list", "--json"], { signal }),
    readPipConfiguration(signal),
  ]);
  return {
    apt: {
      ...parseIndexTargets(targets),
      ...parseAptOptions(options),
    },
    npm: parseNpmConfiguration(npm),
    pip: parsePipConfiguration(pip),
  };
}

/** Settings that change whether and how packages can be fetched, and nothing else. */
export function parseAptOptions(dump: string): Pick<MachineSources["apt"], "options" | "fetchOptions"> {
  const lines = dump.split("\n");
  const fetchOptions = lines.filter((line) => FETCH_OPTION.test(line));
  const options = lines.filter((line) => OPTION.test(line));
  return fetchOptions.length === 0 ? { options } : { options, fetchOptions };
}

export function parseIndexTargets(text: string): Omit<MachineSources["apt"], "options" | "fetchOptions"> {
  const repositories = text
    .split("\n")
    .map((line) => line.split("|"))
    .filter(([createdBy, origin, release, component, uri]) => {
      // Origin is empty until `apt-get update` has run; the suite's name has to do then.
      const isDebian = (origin === "Debian" || origin === "") && DEBIAN_SUITE.test(release ?? "");
      return createdBy === "Packages" && isDebian && component === "main" && /^https?:/.test(uri ?? "");
    })
    .map(([, , release, , uri]) => ({ release: release ?? "", uri: withoutCredentials(uri ?? "") }));
  const isSecurity = (release: string) => /-security$|\/updates$/.test(release);
  const archive = repositories.find(({ release }) => !isSecurity(release));
  if (archive === undefined)
    throw new Error("apt has no http(s) source for Debian's main component configured");
  return {
    archiveUri: archive.uri,
    securityUri: repositories.find(({ release }) => isSecurity(release))?.uri,
    hasUpdatesSuite: repositories.some(({ release }) => release.endsWith("-updates")),
  };
}

const npmConfiguration = z.looseObject({ registry: z.url(), cafile: z.string().nullish() });

export function parseNpmConfiguration(json: string): MachineSources["npm"] {
  const configuration = npmConfiguration.parse(JSON.parse(json));
  const scopes = Object.entries(configuration)
    .filter(
      (entry): entry is [string, string] =>
        /^@[^:]+:registry$/.test(entry[0]) && typeof entry[1] === "string",
    )
    .map(([name, url]) => [name, withoutCredentials(url)] as const);
  return {
    registry: withoutCredentials(configuration.registry),
    scopes: Object.fromEntries(scopes),
    cafile: configuration.cafile ?? undefined,
  };
}

/** `pip config list` prints `section.name='value'`; a later line wins, the environment comes last. */
export function parsePipConfiguration(text: string): MachineSources["pip"] {
  const values = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^[^=']*\.([a-z-]+)='(.*)'$/.exec(line.trim());
    if (match?.[1] !== undefined && match[2] !== undefined) values.set(match[1], match[2]);
  }
  const remote = (urls: string | undefined) =>
    (urls ?? "")
      .split(/\s+|\\n/)
      .filter((url) => /^https?:/.test(url))
      .map(withoutCredentials);
  return {
    indexUrl: remote(values.get("index-url"))[0],
    extraIndexUrls: remote(values.get("extra-index-url")),
  };
}

/** pip is no requirement of ours: a machine without it has no pip configuration. */
async function readPipConfiguration(signal: AbortSignal | undefined): Promise<string> {
  try {
    return await runCommand(["python3", "-m", "pip", "config", "list"], { signal });
  } catch (error) {
    if (error instanceof CommandFailed) return "";
    throw error;
  }
}

/** A mirror's password is the machine's, never the guest's. */
function withoutCredentials(text: string): string {
  const url = new URL(text);
  url.username = "";
  url.password = "";
  return url.href;
}
