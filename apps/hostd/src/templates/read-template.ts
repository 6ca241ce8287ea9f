import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Template } from "./template-store.ts";

const TEMPLATE_ID = /^[0-9a-f]{32}$/;

export const templateManifest = z.strictObject({
  format: z.literal(1),
  templateId: z.string().regex(TEMPLATE_ID),
  imageKey: z.string(),
  fingerprint: z.string(),
  size: z.strictObject({
    cpus: z.number().int().positive(),
    memoryMb: z.number().int().positive(),
    diskMb: z.number().int().positive(),
  }),
  /** What the agent of a clone expects at its first handshake. */
  linkToken: z.string(),
});

/** The complete template of this id below `directory`; undefined where there is none. */
export async function readTemplate(directory: string, templateId: string): Promise<Template | undefined> {
  if (!TEMPLATE_ID.test(templateId)) return undefined;
  const place = join(directory, templateId);
  let text: string;
  try {
    text = await readFile(join(place, "manifest.json"), "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const { format: _format, ...manifest } = templateManifest.parse(JSON.parse(text));
  return { ...manifest, ...templateFiles(place) };
}

export function templateFiles(place: string): Pick<Template, "diskPath" | "ramPath" | "deviceStatePath"> {
  return {
    diskPath: join(place, "disk.raw"),
    ramPath: join(place, "ram"),
    deviceStatePath: join(place, "state"),
  };
}
