import { X509Certificate } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export interface ExtraCertificate {
  /** First 16 hex digits of the SHA-256 fingerprint. */
  id: string;
  pem: string;
}

const LOCAL_FOLDER = "/usr/local/share/ca-certificates";
const PUBLIC_FOLDER = "/usr/share/ca-certificates";

/**
 * Certificate authorities this machine trusts by its own configuration, without the public ones Debian ships: a
 * mirror that is re-signed by a company's proxy has to work in the guest too. Sorted, so that a key over them is stable.
 */
export async function readExtraCertificates(configuredFiles: readonly string[]): Promise<ExtraCertificate[]> {
  const isPublic = new Set((await certificatesBelow(PUBLIC_FOLDER)).map(({ id }) => id));
  const candidates = await certificatesBelow(LOCAL_FOLDER);
  for (const path of configuredFiles) candidates.push(...certificatesIn(await readFile(path, "utf8")));
  const extra = new Map(
    candidates.filter(({ id }) => !isPublic.has(id)).map((certificate) => [certificate.id, certificate]),
  );
  return [...extra.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function certificatesBelow(folder: string): Promise<ExtraCertificate[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    throw error;
  });
  const files = entries.filter((entry) => !entry.isDirectory() && entry.name.endsWith(".crt"));
  const texts = await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), "utf8")));
  return texts.flatMap(certificatesIn);
}

export function certificatesIn(text: string): ExtraCertificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => {
    const certificate = new X509Certificate(block);
    const id = certificate.fingerprint256.replaceAll(":", "").toLowerCase().slice(0, 16);
    return { id, pem: certificate.toString() };
  });
}
