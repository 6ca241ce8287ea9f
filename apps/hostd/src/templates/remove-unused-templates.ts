/**
 * Templates of older images and hypervisors are needed as long as a disk stands on them, and never again after. Whether one
 * does is asked of every record below the workspaces, whatever its format: an id that occurs anywhere is kept.
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileOps } from "@atoll/durable/file-ops";
import { syncDirectory } from "@atoll/durable/sync-directory";
import { readTemplate } from "./read-template.ts";
import { STAGING, type Template } from "./template-store.ts";

export interface UnusedTemplatesOptions {
  templatesPath: string;
  /** Every disk that must stay lies here, whole. */
  workspacesPath: string;
  /** Of this image and hypervisor, in a size on offer: clones may be asked for at any time. */
  isCurrent: (template: Template) => boolean;
}

/** Answers the ids it removed. Call it while nothing is created. @throws when any record cannot be read; then nothing is removed */
export async function removeUnusedTemplates(options: UnusedTemplatesOptions): Promise<string[]> {
  const { templatesPath, workspacesPath, isCurrent } = options;
  const unused = new Set<string>();
  for (const name of await readdir(templatesPath)) {
    const template = await readTemplate(templatesPath, name).catch(() => undefined);
    if (template !== undefined && !isCurrent(template)) unused.add(name);
  }
  // Hosts that keep their image read no record.
  if (unused.size === 0) return [];
  for (const entry of await readdir(workspacesPath, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".json")) continue;
    const text = await readFile(join(entry.parentPath, entry.name), "utf8");
    for (const templateId of unused) if (text.includes(templateId)) unused.delete(templateId);
  }
  const ops = fileOps();
  for (const templateId of unused) {
    // Gone as a whole: half of one would be taken for a template.
    const staging = join(templatesPath, `${STAGING}${templateId}-${randomBytes(4).toString("hex")}`);
    await ops.rename(join(templatesPath, templateId), staging);
    await syncDirectory(templatesPath);
    await ops.remove(staging);
  }
  return [...unused];
}
