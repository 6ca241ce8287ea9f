import { scrubbedFile, templateInfo } from "@atoll/protocol/hostd-api";
import { uuid } from "@atoll/protocol/ids";
import { z } from "zod";
import { diskRecord, linkToken, machineRecord, tombstone } from "./workspace-record.ts";

/** The journal's truth about one template made from a workspace: a disk of its own under a key of its own. */
export const templateRecord = z.strictObject({
  format: z.literal(1),
  templateId: uuid,
  ownerId: uuid,
  /** What it is made from. */
  workspaceId: uuid,
  checkpointId: uuid,
  image: z.string(),
  size: z.strictObject({ cpus: z.number(), memoryMb: z.number(), diskMb: z.number() }),
  state: templateInfo.shape.state,
  errorCode: z.string().nullable(),
  scrubbed: z.array(scrubbedFile),
  sizeBytes: z.number().nonnegative(),
  createdAtMs: z.number(),
  disk: diskRecord.nullable(),
  /** The checkpoint of that disk which others begin from. */
  pointId: uuid,
  machine: machineRecord.nullable(),
  linkToken,
  keyCommitment: z.string().nullable(),
  tombstone: tombstone.nullable(),
});
export type TemplateRecord = z.infer<typeof templateRecord>;
