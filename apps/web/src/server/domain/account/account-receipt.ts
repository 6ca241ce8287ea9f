import { deleteAnswer } from "@atoll/protocol/hostd-api";
import { z } from "zod";

/** What is left of an account: evidence that names nobody. */
export const accountReceipt = deleteAnswer.extend({
  receiptId: z.uuid(),
  scope: z.literal("account"),
  /** SHA-256 of the user's id: matches for somebody who still knows the id. */
  userHash: z.string(),
  requestedAtMs: z.number(),
  completedAtMs: z.number(),
  workspaceCount: z.number().int(),
});
export type AccountReceipt = z.infer<typeof accountReceipt>;
