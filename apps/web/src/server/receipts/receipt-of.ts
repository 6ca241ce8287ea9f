import { hashId } from "@atoll/db/receipts";
import type { deleteAnswer } from "@atoll/protocol/hostd-api";
import {
  type DestroyedKey,
  type ErasureReceipt,
  latest,
  RECEIPT_LIMITS,
} from "@atoll/receipt/erasure-receipt";
import type { z } from "zod";

export type DeleteAnswer = z.output<typeof deleteAnswer>;

export interface ErasureFacts {
  receiptId: string;
  scope: ErasureReceipt["scope"];
  /** Of the account or the workspace. */
  subjectId: string;
  requestedAtMs: number;
  /** Rows that go with it, whether or not a machine was ever made for them. */
  workspaceIds: readonly string[];
  /** hostd's evidence. */
  answer: DeleteAnswer;
}

export interface Issuer {
  origin: string;
  keyId: string;
  backupHorizonDays: number | undefined;
}

const DAY_MS = 86_400_000;

/** What is known of an erasure whose keys are destroyed, without naming anybody. */
export function receiptOf(facts: ErasureFacts, issuer: Issuer, nowMs: number): ErasureReceipt {
  const { scope, subjectId, requestedAtMs, answer } = facts;
  const keys = [...ownerKeys(facts), ...answer.erasures.map(workspaceKey)];
  const workspaceIds = new Set([
    ...facts.workspaceIds,
    ...answer.erasures.map(({ workspaceId }) => workspaceId),
  ]);
  const { backupHorizonDays } = issuer;
  return {
    format: "atoll-erasure-receipt",
    version: 1,
    receiptId: facts.receiptId,
    status: "erased",
    scope,
    subjectHash: hashId(subjectId),
    counts: { workspaces: workspaceIds.size, keys: keys.length },
    keys,
    requestedAtMs,
    keysDestroyedAtMs: latest(keys.map((key) => key.destroyedAtMs)),
    dataUnlinkedAtMs: latest(keys.map((key) => key.dataUnlinkedAtMs)),
    issuedAtMs: nowMs,
    backupHorizonAtMs: backupHorizonDays === undefined ? null : nowMs + backupHorizonDays * DAY_MS,
    issuer: { origin: issuer.origin, keyId: issuer.keyId },
    cannotProve: [...RECEIPT_LIMITS],
  };
}

function ownerKeys({ subjectId, answer }: ErasureFacts): DestroyedKey[] {
  const { ownerKeyCommitment, ownerKeyDestroyedAtMs } = answer;
  if (ownerKeyCommitment === null || ownerKeyDestroyedAtMs === null) return [];
  return [
    {
      of: "account",
      subjectHash: hashId(subjectId),
      commitment: ownerKeyCommitment,
      destroyedAtMs: Math.floor(ownerKeyDestroyedAtMs),
      dataUnlinkedAtMs: null,
    },
  ];
}

function workspaceKey(erasure: DeleteAnswer["erasures"][number]): DestroyedKey {
  const { workspaceId, keyCommitment, keyDestroyedAtMs, dataUnlinkedAtMs } = erasure;
  return {
    of: "workspace",
    subjectHash: hashId(workspaceId),
    commitment: keyCommitment,
    destroyedAtMs: Math.floor(keyDestroyedAtMs),
    dataUnlinkedAtMs: dataUnlinkedAtMs === null ? null : Math.floor(dataUnlinkedAtMs),
  };
}
