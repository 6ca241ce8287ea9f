/**
 * Every connect of a guest link starts with this, whatever either side had half-sent before.
 *
 * Host writes its 32-byte link token, then a HELLO frame. The agent drops all bytes until the token and starts
 * anew behind it. The agent answers the 32-byte nonce of that HELLO, then its own HELLO frame; the host drops
 * all bytes until the nonce, so nothing of an earlier life is ever read. The token is secret to hostd and this
 * guest: user bytes cannot contain it. A machine fresh from a template still expects its template's token;
 * `linkToken` of the HELLO is what it expects from then on.
 */
import * as z from "zod";
import { ENTROPY_BYTES, LINK_TOKEN_BYTES } from "./limits.ts";
import { egressPreset } from "./messages/egress.ts";

/** What a freshly booted agent expects, before any host gave it a token of its own. Hex. */
export const FIRST_LINK_TOKEN = "61746f6c6c206c696e6b3a206120636c65616e20737461727420706c65617365";

const hexBytes = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

export const linkHello = z.object({
  type: z.literal("host"),
  generation: z.object({ oldest: z.number().int(), newest: z.number().int() }),
  /** `boot`, `create` and `resume` make the guest take identity, time and entropy before it answers; `reconnect` the time only. */
  reason: z.enum(["boot", "create", "resume", "reconnect"]),
  nonce: hexBytes(LINK_TOKEN_BYTES),
  linkToken: hexBytes(LINK_TOKEN_BYTES),
  hostTimeMs: z.number(),
  entropy: hexBytes(ENTROPY_BYTES),
  identity: z.object({
    workspaceId: z.string().max(64),
    hostname: z.string().max(63),
    /** 32 hex digits, systemd's machine-id. */
    machineId: hexBytes(16),
  }),
  egress: egressPreset,
  /**
   * An agent that read this late leaves disk and programs still and says nothing of them: the time in it is that of when it
   * was written, and the host asks again, then lets them go on by `core.thaw`. Agents of older images do not know it.
   */
  holds: z.literal(true).optional(),
});
export type LinkHello = z.infer<typeof linkHello>;

export const linkHelloAnswer = z.object({
  type: z.literal("agent"),
  generation: z.number().int(),
  agentVersion: z.string().max(64),
  /** The kernel's boot id: tells a resumed guest from a rebooted one. */
  bootId: z.string().max(64),
  /** The kernel accepted and credited the entropy and reseeded. False or missing ends the VM. */
  isReseeded: z.boolean(),
  /** It has its own host name and machine-id. False ends the VM; agents of older images do not say. */
  isNamed: z.boolean().optional(),
  /** Its disk and its programs go on. False ends the VM; missing when they wait for the host, and from agents of older images. */
  isThawed: z.boolean().optional(),
  /** Guest clock minus host clock after it was set. */
  clockOffsetMs: z.number(),
});
export type LinkHelloAnswer = z.infer<typeof linkHelloAnswer>;
