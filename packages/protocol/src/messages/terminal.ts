import * as z from "zod";
import { PATH_MAX_BYTES, PROCESS_ARGV_MAX_BYTES, TERMINAL_GRID_MAX } from "../limits.ts";
import { channel, request } from "../message.ts";

export const terminalId = z.string().regex(/^[a-z0-9]{1,16}$/);
const grid = z.number().int().min(1).max(TERMINAL_GRID_MAX);

export const terminalInfo = z.object({
  terminalId,
  title: z.string().max(200),
  pid: z.number().int(),
  cols: grid,
  rows: grid,
  startedAtMs: z.number(),
  /** Present once the shell ended; the terminal stays listed until closed, so its last words can be read. */
  exit: z.object({ exitCode: z.number().int().nullable(), signal: z.string().max(16).nullable() }).optional(),
});
export type TerminalInfo = z.infer<typeof terminalInfo>;

export const terminalOpen = request("terminal.open", {
  callers: ["session", "host"],
  params: z.object({
    cols: grid,
    rows: grid,
    cwd: z.string().max(PATH_MAX_BYTES).optional(),
    /** The login shell when absent. */
    argv: z.array(z.string().max(PROCESS_ARGV_MAX_BYTES)).min(1).max(1000).optional(),
  }),
  result: terminalInfo,
});

export const terminalClose = request("terminal.close", {
  callers: ["session", "host"],
  params: z.object({ terminalId }),
  result: z.object({}),
});

/**
 * First attach and reattach are the same: the caller says what it has. DATA from the guest is output from
 * `fromOffset` on (bytes since the terminal began); DATA to the guest is input. The PTY is paused when the
 * fastest viewer falls behind; a viewer that falls off the replay gets `gap` and goes on after it.
 */
export const terminalAttach = channel("terminal.attach", {
  callers: ["session", "host"],
  params: z.object({
    terminalId,
    /** Offset of the next byte the caller lacks; absent for all that is kept. */
    fromOffset: z.number().int().nonnegative().optional(),
    cols: grid.optional(),
    rows: grid.optional(),
  }),
  result: z.object({
    info: terminalInfo,
    fromOffset: z.number().int().nonnegative(),
    /** Bytes the caller asked for that are no longer kept. */
    gapBytes: z.number().int().nonnegative(),
  }),
  openerEvent: z.object({ type: z.literal("resize"), cols: grid, rows: grid }),
  acceptorEvent: z.discriminatedUnion("type", [
    z.object({ type: z.literal("resize"), cols: grid, rows: grid }),
    z.object({ type: z.literal("title"), title: z.string().max(200) }),
    z.object({ type: z.literal("gap"), gapBytes: z.number().int().positive() }),
    z.object({
      type: z.literal("exit"),
      exitCode: z.number().int().nullable(),
      signal: z.string().max(16).nullable(),
    }),
  ]),
});

/** The list now, then again at every change. */
export const terminalWatch = channel("terminal.watch", {
  callers: ["session", "host"],
  params: z.object({}),
  result: z.object({ terminals: z.array(terminalInfo) }),
  openerEvent: z.never(),
  acceptorEvent: z.object({ type: z.literal("terminals"), terminals: z.array(terminalInfo) }),
});
