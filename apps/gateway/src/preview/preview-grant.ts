import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { Clock } from "@atoll/base/clock";
import { previewPort, uuid, workspaceSlug } from "@atoll/protocol/ids";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { z } from "zod";

/** What one browser may see on one preview host. */
export const previewGrant = z.object({
  workspaceId: uuid,
  userId: uuid,
  authSessionId: uuid,
  slug: workspaceSlug,
  port: previewPort,
  /** Unix seconds. */
  exp: z.number().int(),
});
export type PreviewGrant = z.infer<typeof previewGrant>;

/** Keeps a signature of this kind from standing in for any other made with the same key. */
const PURPOSE = "atoll-preview-grant\0";

/** `<base64url JSON>.<base64url HMAC-SHA256>`. */
export class GrantSigner {
  readonly #key: KeyObject;
  readonly #clock: Clock;

  constructor(options: { key: Buffer; clock: Clock }) {
    this.#key = createSecretKey(options.key);
    this.#clock = options.clock;
  }

  sign(grant: Omit<PreviewGrant, "exp">): string {
    const exp = Math.floor(this.#clock.now() / 1000) + PREVIEW_GRANT_SECONDS;
    const body = Buffer.from(JSON.stringify({ ...grant, exp })).toString("base64url");
    return `${body}.${this.#mac(body).toString("base64url")}`;
  }

  /** Undefined for anything that is not a live grant of ours. */
  open(text: string): PreviewGrant | undefined {
    const dot = text.indexOf(".");
    if (dot < 0) return undefined;
    const body = text.slice(0, dot);
    const mac = Buffer.from(text.slice(dot + 1), "base64url");
    const expected = this.#mac(body);
    if (mac.length !== expected.length || !timingSafeEqual(mac, expected)) return undefined;
    const grant = previewGrant.safeParse(JSON.parse(Buffer.from(body, "base64url").toString()));
    return grant.success && grant.data.exp * 1000 > this.#clock.now() ? grant.data : undefined;
  }

  #mac(body: string): Buffer {
    return createHmac("sha256", this.#key).update(PURPOSE).update(body).digest();
  }
}
