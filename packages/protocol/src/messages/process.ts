import * as z from "zod";
import { PATH_MAX_BYTES, PROCESS_ARGV_MAX_BYTES, PROCESS_TIMEOUT_MAX_MS } from "../limits.ts";
import { channel } from "../message.ts";

const text = z
  .string()
  .max(PROCESS_ARGV_MAX_BYTES)
  .regex(/^[^\0]*$/);

/**
 * Runs one program as the workspace's user, no shell. DATA to the guest is stdin (END closes it); DATA from it
 * is stdout, flagged secondary for stderr. `exit` comes after all output. The opener's RESET kills the whole group.
 */
export const processRun = channel("process.run", {
  callers: ["session", "host"],
  params: z.object({
    argv: z.array(text).min(1).max(1000),
    env: z.record(z.string().regex(/^[^=\0]{1,256}$/), text).optional(),
    cwd: z.string().max(PATH_MAX_BYTES).optional(),
    timeoutMs: z.number().int().min(1).max(PROCESS_TIMEOUT_MAX_MS),
  }),
  result: z.object({ pid: z.number().int().positive() }),
  openerEvent: z.object({
    type: z.literal("signal"),
    signal: z.enum(["SIGINT", "SIGTERM", "SIGKILL", "SIGHUP"]),
  }),
  acceptorEvent: z.object({
    type: z.literal("exit"),
    exitCode: z.number().int().nullable(),
    signal: z.string().max(16).nullable(),
    isTimedOut: z.boolean(),
  }),
});
