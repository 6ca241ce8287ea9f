import { appendFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { ExtraCertificate } from "./extra-certificates.ts";
import type { ImageDeclaration } from "./image-declaration.ts";
import type { MachineSources } from "./machine-sources.ts";

const GUEST_CERTIFICATES = "/usr/local/share/ca-certificates";
const NODE_CERTIFICATES = "/etc/ssl/certs/machine-certificates.pem";

/** Lines for mmdebstrap and, with the keyring named, for the guest's own apt. */
export function debianSources(
  suite: string,
  components: readonly string[],
  apt: MachineSources["apt"],
): string[] {
  const list = components.join(" ");
  const lines = [`deb ${apt.archiveUri} ${suite} ${list}`];
  if (apt.hasUpdatesSuite) lines.push(`deb ${apt.archiveUri} ${suite}-updates ${list}`);
  if (apt.securityUri !== undefined) lines.push(`deb ${apt.securityUri} ${suite}-security ${list}`);
  return lines;
}

/** Adds what is particular to this machine to a copy of the image's `rootfs` folder. */
export async function writeGuestConfiguration(
  overlay: string,
  declaration: ImageDeclaration,
  sources: MachineSources,
  certificates: readonly ExtraCertificate[],
): Promise<void> {
  const keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
  const lines = debianSources(declaration.suite, declaration.components, sources.apt);
  await mkdir(join(overlay, "etc/apt/apt.conf.d"), { recursive: true });
  await writeFile(
    join(overlay, "etc/apt/sources.list"),
    lines.map((line) => `${line.replace(/^deb /, `deb ${keyring} `)}\n`).join(""),
  );
  // Where a mirror is a frozen copy, its dates are old in the guest as well; how to reach it differs.
  const dates = sources.apt.options.filter((line) => /^Acquire::Check-/.test(line));
  await writeFile(join(overlay, "etc/apt/apt.conf.d/81machine"), dates.map((line) => `${line}\n`).join(""));

  const scopes = Object.entries(sources.npm.scopes).map(([name, url]) => `${name}=${url}\n`);
  await appendFile(join(overlay, "etc/npmrc"), `registry=${sources.npm.registry}\n${scopes.join("")}`);
  const { indexUrl, extraIndexUrls } = sources.pip;
  if (indexUrl !== undefined) await appendFile(join(overlay, "etc/pip.conf"), `index-url = ${indexUrl}\n`);
  if (extraIndexUrls.length > 0) {
    await appendFile(join(overlay, "etc/pip.conf"), `extra-index-url = ${extraIndexUrls.join(" ")}\n`);
  }

  if (certificates.length === 0) return;
  await mkdir(join(overlay, GUEST_CERTIFICATES), { recursive: true });
  await mkdir(join(overlay, "etc/ssl/certs"), { recursive: true });
  for (const { id, pem } of certificates) {
    await writeFile(join(overlay, GUEST_CERTIFICATES, `machine-${id}.crt`), pem);
  }
  // Node reads its built-in authorities and this short file; the system's whole bundle would cost every start 20 ms.
  await writeFile(join(overlay, NODE_CERTIFICATES), certificates.map(({ pem }) => pem).join(""));
  await appendFile(
    join(overlay, "etc/environment"),
    [
      `NODE_EXTRA_CA_CERTS=${NODE_CERTIFICATES}`,
      "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
      "REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt",
      "",
    ].join("\n"),
  );
}

/** Hosts the image's apt, npm and pip will ask. `pipDefaults` is what pip asks when nothing is configured. */
export function packageSourceHosts(sources: MachineSources, pipDefaults: readonly string[]): string[] {
  const { apt, npm, pip } = sources;
  const urls = [apt.archiveUri, apt.securityUri, npm.registry, ...Object.values(npm.scopes), pip.indexUrl];
  const hosts = [...urls, ...pip.extraIndexUrls]
    .filter((url) => url !== undefined)
    .map((url) => new URL(url).hostname);
  if (pip.indexUrl === undefined) hosts.push(...pipDefaults);
  return [...new Set(hosts)].sort();
}
