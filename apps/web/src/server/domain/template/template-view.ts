import type { Template } from "@atoll/db/generated/client";
import type { TemplateInfo } from "@atoll/protocol/hostd-api";

/** A template as its users see it. What was removed from it is its owner's to see. */
export interface TemplateView {
  id: string;
  name: string;
  isOwn: boolean;
  createdAt: Date;
  publishedAt: Date | null;
  cpus: number;
  memoryMb: number;
  diskMb: number;
  /** Undefined while the host does not answer. */
  state: TemplateInfo["state"] | undefined;
  errorCode: string | undefined;
  sizeBytes: number | undefined;
  scrubbed: TemplateInfo["scrubbed"];
}

export function templateView(row: Template, info: TemplateInfo | undefined, userId: string): TemplateView {
  const { id, name, createdAt, publishedAt, cpus, memoryMb, diskMb } = row;
  const isOwn = row.ownerId === userId;
  return {
    id,
    name,
    isOwn,
    createdAt,
    publishedAt,
    cpus,
    memoryMb,
    diskMb,
    state: info?.state,
    errorCode: info?.errorCode,
    sizeBytes: info?.sizeBytes,
    scrubbed: isOwn ? (info?.scrubbed ?? []) : [],
  };
}
