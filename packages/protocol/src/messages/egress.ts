import * as z from "zod";
import { channel } from "../message.ts";

export const egressPreset = z.enum(["off", "packages", "open"]);
export type EgressPreset = z.infer<typeof egressPreset>;

/** Opened by the guest, answered by hostd, which alone resolves the name and applies the policy. */
export const egressConnect = channel("egress.connect", {
  callers: ["guest"],
  params: z.object({
    /** A DNS name or IP literal as the program gave it. */
    host: z.string().min(1).max(253),
    port: z.number().int().min(1).max(65_535),
  }),
  result: z.object({}),
  openerEvent: z.never(),
  acceptorEvent: z.never(),
});
